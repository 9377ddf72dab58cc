"""Loss and metrics on one split."""

from typing import Any

import torch

from ftrun.errors import DataError
from ftrun.net import outputs_by_target
from ftrun.run.assemble import Job, total_loss
from ftrun.run.report import Bar
from ftrun.run.signals import Signals


@torch.no_grad()
def evaluate(
    job: Job, split: str, bar: Bar | None = None, signals: Signals | None = None, *, micro_batch: int | None = None
) -> dict[str, Any]:
    """{"loss": .., "accuracy": .., ...} on one split, in evaluation mode; with several targets "color/accuracy".

    A figure is a float; a metric that is not one figure (a confusion matrix) gives nested lists.

    bar: shown how far it is; signals: heeded after each batch; micro_batch: most samples that fit into memory
    """
    net = job.judged
    net.eval()
    loss_sum, samples = torch.zeros((), device=job.device), 0
    for batch in job.loaders[split].in_order():
        for part in batch.to(job.device).parts(micro_batch):
            with autocast(job):
                outputs = outputs_by_target(net, net(net.input.prepare(part.inputs)))
            loss_sum += total_loss(job.losses, outputs, part.targets) * len(part)
            for target, metrics in job.metrics.items():
                for metric in metrics.values():
                    metric.update(outputs[target].float(), part.targets[target])
        samples += len(batch)
        if bar:
            bar.advance(len(batch))
        if signals:
            signals.check()
    if not samples:
        raise DataError(f"no sample of {split} can be read.")
    figures: dict[str, Any] = {"loss": float(loss_sum) / samples}
    for target, metrics in job.metrics.items():
        prefix = f"{target}/" if len(job.metrics) > 1 else ""
        for key, metric in metrics.items():
            figures[prefix + key] = metric.compute().tolist()
            metric.reset()
    return figures


def autocast(job: Job) -> torch.autocast:
    """The precision that the spec asks for, around the forward pass."""
    return torch.autocast(job.device.type, torch.bfloat16, enabled=job.spec.train.precision == "bf16")
