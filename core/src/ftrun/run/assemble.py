"""From a checked spec to the live objects of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ftrun.data import Batch, Splits
from ftrun.errors import SpecError, located
from ftrun.net import Net
from ftrun.randomness import SampleRandom, seed_of
from ftrun.run import splits as split_checks
from ftrun.run.loader import Loader
from ftrun.runspec import RunSpec
from ftrun.specs import Loss, Metric


@dataclass
class Job:
    """The live objects of a run. `losses` and `metrics` are by target's name."""

    spec: RunSpec
    device: torch.device
    splits: Splits
    val_was_cut: bool
    net: Net
    losses: Mapping[str, nn.Module]
    metrics: Mapping[str, Mapping[str, Any]]
    optimizer: torch.optim.Optimizer
    learning_rates: list[float]
    schedule: Callable[[float], float]
    augmentations: list[Callable[[Batch, SampleRandom], Batch]]
    loaders: Mapping[str, Loader]

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return -(-self.loaders["train"].batches // self.spec.train.accumulate)

    @property
    def samples(self) -> dict[str, int]:
        """Number of samples in each split."""
        return {name: len(split) for name, split in self.splits.items()}


def assemble(spec: RunSpec, device: torch.device) -> Job:
    """Build every part of `spec`. Raises SpecError, DataError or PluginError with the part's place in the spec."""
    with located("dataset"):
        given = spec.dataset.build()
        splits = split_checks.complete(given, val_fraction=spec.train.val_fraction, seed=spec.seed)
    _check_kinds(spec, splits)
    torch.manual_seed(seed_of(spec.seed, "build"))  # what is not pretrained starts from the seed
    # Channels last is up to four times as fast for depthwise convolutions, and costs nothing elsewhere.
    net = build_net(spec, splits).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    losses: dict[str, nn.Module] = {}
    metrics: dict[str, dict[str, Any]] = {}
    for name, target in splits.targets.items():
        with located("loss"):
            losses[name] = spec.loss.build(target, splits.train.targets[name]).to(device)
        metrics[name] = {}
        for index, metric in enumerate(spec.metrics):
            if target.kind in metric.kinds:
                with located(f"metrics.{index}"):
                    metrics[name][metric.key] = metric.build(target).to(device)
    with located("optimizer"):
        optimizer = spec.optimizer.build(list(net.parameters()))
    return Job(
        spec=spec,
        device=device,
        splits=splits,
        val_was_cut=given.val is None,
        net=net,
        losses=losses,
        metrics=metrics,
        optimizer=optimizer,
        learning_rates=[group["lr"] for group in optimizer.param_groups],
        schedule=spec.scheduler.build() if spec.scheduler else lambda progress: 1.0,
        augmentations=[augmentation.build() for augmentation in spec.augment],
        loaders={
            name: Loader(split, net.input, batch_size=spec.train.batch_size, workers=spec.train.workers, device=device)
            for name, split in splits.items()
        },
    )


def build_net(spec: RunSpec, splits: Splits) -> Net:
    """The backbone with a fresh head for the targets, changed by the modifiers in order."""
    with located("backbone"):
        net = spec.backbone.build(spec.input_overrides)
    net.set_targets(splits.targets)
    for index, modifier in enumerate(spec.modifiers):
        with located(f"modifiers.{index}"):
            net = modifier.build(net)
    return net


def choose_device(name: str | None) -> torch.device:
    """The device called `name`, or the best one here. Raises SpecError where there is none of that name."""
    if name is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        best = torch.accelerator.current_accelerator(check_available=True) or "cpu"
        raise SpecError(f"--device {name}: no such device here. Leave it out to have the best one: {best}.") from None
    return device


def _check_kinds(spec: RunSpec, splits: Splits) -> None:
    """Raise SpecError where the loss or a metric does not work on what the dataset asks for."""
    for name, target in splits.targets.items():
        if target.kind not in spec.loss.kinds:
            raise SpecError(_mismatch(spec.loss, name, target.kind), where="loss")
    for index, metric in enumerate(spec.metrics):
        if not any(target.kind in metric.kinds for target in splits.targets.values()):
            name, target = next(iter(splits.targets.items()))
            raise SpecError(_mismatch(metric, name, target.kind), where=f"metrics.{index}")


def _mismatch(part: Loss | Metric, target: str, kind: str) -> str:
    return f"{part.name!r} works on {' and '.join(part.kinds)}, but the dataset's target {target!r} has {kind}."


def total_loss(losses: Mapping[str, nn.Module], outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """The sum over targets of each one's loss: a scalar, computed in float32."""
    return torch.stack([loss(outputs[name].float(), targets[name]) for name, loss in losses.items()]).sum()
