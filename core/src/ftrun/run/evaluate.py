"""Loss and metrics on one split."""

from typing import Any

import torch

from ftrun.net import outputs_by_target
from ftrun.run.assemble import Job, total_loss
from ftrun.run.report import Bar
from ftrun.run.signals import Signals


@torch.no_grad()
def evaluate(job: Job, split: str, bar: Bar | None = None, signals: Signals | None = None) -> dict[str, Any]:
    """{"loss": .., "accuracy": .., ...} on one split, in evaluation mode; with several targets "color/accuracy".

    A figure is a float; a metric that is not one figure (a confusion matrix) gives nested lists.

    bar: shown how far it is; signals: heeded after each batch
    """
    job.net.eval()
    loss_sum = torch.zeros((), device=job.device)
    for batch in job.loaders[split].in_order():
        batch = batch.to(job.device)
        with autocast(job):
            outputs = outputs_by_target(job.net, job.net(job.net.input.prepare(batch.inputs)))
        loss_sum += total_loss(job.losses, outputs, batch.targets) * len(batch)
        for target, metrics in job.metrics.items():
            for metric in metrics.values():
                metric.update(outputs[target].float(), batch.targets[target])
        if bar:
            bar.advance(len(batch))
        if signals:
            signals.check()
    figures: dict[str, Any] = {"loss": float(loss_sum) / job.loaders[split].samples}
    for target, metrics in job.metrics.items():
        prefix = f"{target}/" if len(job.metrics) > 1 else ""
        for key, metric in metrics.items():
            figures[prefix + key] = metric.compute().tolist()
            metric.reset()
    return figures


def autocast(job: Job) -> torch.autocast:
    """The precision that the spec asks for, around the forward pass."""
    return torch.autocast(job.device.type, torch.bfloat16, enabled=job.spec.train.precision == "bf16")
