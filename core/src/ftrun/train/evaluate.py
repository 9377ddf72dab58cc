"""Loss and metrics on one split."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import DataError
from ftrun.contracts.net import Net, outputs_by_target
from ftrun.contracts.randomness import reseed, seed_of
from ftrun.contracts.targets import Target
from ftrun.data.loader import Loader
from ftrun.runs.console import Bar
from ftrun.runs.predictions import Collected
from ftrun.train.embedded import output
from ftrun.train.loss import TotalLoss
from ftrun.train.memory import Portions
from ftrun.train.metricvalues import values_of
from ftrun.train.signals import Signals
from ftrun.train.tuning import Setting


class Judging(Protocol):
    """What judges: a run at work, or one that is opened again."""

    @property
    def judged(self) -> Net:
        """The net whose output is judged."""
        ...

    @property
    def seed(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def setting(self) -> Setting: ...
    @property
    def losses(self) -> TotalLoss: ...
    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]: ...

    def ready(self, batch: Batch) -> Batch:
        """A batch as the net takes it."""
        ...


@torch.no_grad()
def evaluate(
    job: Judging,
    loader: Loader,
    bar: Bar | None = None,
    signals: Signals | None = None,
    *,
    portions: Portions,
    keep: Collected | None = None,
) -> dict[str, Any]:
    """{"loss": .., "accuracy": .., ...} on what `loader` reads, net and losses in evaluation mode.

    What draws random numbers draws the same ones each time: a run's figures are had again by whoever evaluates it.

    With several targets the names are such as "color/accuracy". A figure is a float; a metric that is not one figure
    (a confusion matrix) gives nested lists, one that nothing was known for NaN.

    bar: shown how far it is; signals: heeded after each batch; portions: make the forward passes
    keep: takes what the net gives for each sample
    """
    net = job.judged
    net.eval()
    loss_sum, samples = torch.zeros((), device=job.device), 0
    sums = torch.zeros(len(job.losses.targets), device=job.device)
    judged: set[tuple[str, str | None]] = set()
    draws = seed_of(job.seed, "evaluate")

    def forward(batch: Batch) -> dict[str, Tensor]:
        with job.setting.autocast(job.device):
            return dict(outputs_by_target(net, output(net, batch)))

    with job.losses.evaluating():
        for number, batch in enumerate(loader.in_order(job.ready)):
            reseed(job.device, (draws + number) % 2**63)
            outputs = portions.outputs(forward, batch)
            each = job.losses.each(outputs, batch.targets)
            loss_sum += job.losses.total(each) * len(batch)
            sums += torch.stack(each) * len(batch)
            decoded = {name: target.decode(outputs[name].float()) for name, target in job.losses.targets.items()}
            if keep:
                keep.add(batch, decoded)
            judged |= _judge(job, decoded, batch.targets)
            samples += len(batch)
            if bar:
                bar.advance(len(batch))
            if signals:
                signals.check()
    if not samples:
        raise DataError(f"no sample of {loader.name} can be read.")
    figures: dict[str, Any] = {"loss": float(loss_sum) / samples}
    for target, metrics in job.metrics.items():
        prefix = f"{target}/" if len(job.metrics) > 1 else ""
        if prefix:
            loss = float(sums[list(job.losses.targets).index(target)]) / samples
            figures[f"{prefix}loss"] = loss if (target, None) in judged else math.nan
        for key, metric in metrics.items():
            known = (target, key) in judged
            figures |= values_of(prefix + key, metric.compute()) if known else {prefix + key: math.nan}
            metric.reset()
    return figures


def _judge(job: Judging, decoded: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> set[tuple[str, str | None]]:
    """Have the metrics take a batch; gives (target, key) of those that something was known for, and (target, None)."""
    judged: set[tuple[str, str | None]] = set()
    for name, metrics in job.metrics.items():
        values = truth[name].to(decoded[name].device)
        gaps = job.losses.targets[name] if name in job.losses.missing else None
        if gaps is None or gaps.present(values).any():
            judged.add((name, None))
        judged |= {(name, key) for key, metric in metrics.items() if update(metric, decoded[name], values, gaps)}
    return judged


def update(metric: Any, output: Tensor, values: Tensor, gaps: Target | None) -> bool:
    """Have a metric take a batch, in the terms of `Target.decode`; whether there was something for it.

    gaps: the target, where samples may miss it
    """
    if gaps is not None:
        output, values = gaps.judged(output, values, whole=not getattr(metric, "takes_gaps", False))
    if len(values):
        metric.update(output, values)
    return len(values) > 0
