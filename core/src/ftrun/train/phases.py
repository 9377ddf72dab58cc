"""What learns when, and how fast: a pure function of the epoch, so that there is nothing to restore."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from torch import nn

from ftrun.contracts.errors import SpecError, did_you_mean
from ftrun.contracts.net import Net
from ftrun.contracts.stages import has_statistics
from ftrun.contracts.targets import Classes
from ftrun.contracts.training import ParameterInfo
from ftrun.plugins.building import build, inside
from ftrun.spec.runspec import RunSpec
from ftrun.spec.trainspec import Phase, Train
from ftrun.train.tuning import Work


@dataclass(frozen=True)
class Stage:
    """A stage of the net in one phase."""

    frozen: bool
    rate: float
    """Factor on the learning rate."""


class Plan:
    """The phases of a run, laid out for the stages of its net.

    Stages that always learn alike share a parameter group of the optimizer: one group, if there is one phase with no
    decay. (What starts to learn later needs a group of its own: torch's fused SGD wants the state of all or of none.)
    Those that the optimizer treats otherwise, such as biases that do not decay, have groups of their own.

    extra_parameters: parameters that are not the net's, such as a loss's own: a last group, never frozen
    norms: whether batch normalisation is in training mode or frozen, by phase: what auto has come to
    options: `Optimizer.group_options`
    """

    def __init__(
        self,
        net: Net,
        train: Train,
        extra_parameters: Sequence[Any] = (),
        norms: Sequence[str] | None = None,
        *,
        options: Callable[[ParameterInfo], Mapping[str, Any]] = lambda parameter: {},
    ) -> None:
        self._extra = list(extra_parameters)
        self._train = train
        phases = train.each_phase
        self.norms = list(norms or (phase.norm for phase in phases))
        self._has_norm = any(map(has_statistics, net.modules()))
        self._views = [phase.views for phase in phases]
        self.ends = list(accumulate(math.ceil(phase.epochs) for phase in phases))
        stages = net.stages
        self.phases = [_lay_out(list(stages), phase, f"train.phases.{index}") for index, phase in enumerate(phases)]
        self._groups: dict[tuple[tuple[Stage, ...], tuple[tuple[str, Any], ...]], list[str]] = {}
        """Parameters, by what they do in each phase and the optimizer's options for them."""
        embeddings = {id(each.weight) for each in net.modules() if isinstance(each, nn.Embedding | nn.EmbeddingBag)}
        for stage, names in stages.items():
            course = tuple(phase[stage] for phase in self.phases)
            for name in names:
                parameter = net.get_parameter(name)
                about = ParameterInfo(name, tuple(parameter.shape), stage == "head", id(parameter) in embeddings)
                self._groups.setdefault((course, tuple(sorted(options(about).items()))), []).append(name)

    def parameter_groups(self, net: Net) -> list[dict[str, Any]]:
        """Every parameter of the net, as torch's optimizers take them."""
        groups: list[dict[str, Any]] = [
            {"params": [net.get_parameter(name) for name in names], **dict(options)}
            for (_, options), names in self._groups.items()
        ]
        return groups + ([{"params": self._extra, "weight_decay": 0.0}] if self._extra else [])

    @property
    def widest_phase(self) -> int:
        """An epoch (from 1) of the phase in which the least is frozen."""
        frozen = [sum(stage.frozen for stage in phase.values()) for phase in self.phases]
        return self.ends[frozen.index(min(frozen))]

    def enter_epoch(self, net: Net, epoch: int) -> list[float]:
        """Freeze what is frozen in `epoch` (from 1), and give the factor on the learning rate of each group."""
        number = self.number(epoch)
        frozen = [name for name, stage in self.phases[number].items() if stage.frozen]
        net.freeze(frozen, statistics=self.norms[number] == "frozen")
        return [*(course[number].rate for course, _ in self._groups), *([1.0] if self._extra else [])]

    def only_head(self, epoch: int) -> bool:
        """Whether every stage but the head is frozen."""
        return all(stage.frozen for name, stage in self.phases[self.number(epoch)].items() if name != "head")

    def work(self, train: int, val: int, *, augmented: bool, embeds: bool = True) -> Work:
        """Return what the run does with its net, where train and val have so many batches.

        augmented: whether an epoch sees other inputs than the one before
        embeds: whether embeddings can stand for the inputs of a frozen net
        """
        training, inference, first = 0, 0, 1
        for end, views in zip(self.ends, self._views, strict=True):
            epochs, kept = end - first + 1, embeds and (views or not augmented)  # embeddings
            if not self.only_head(end):
                training, inference = training + epochs * train, inference + epochs * val
            elif kept:
                inference += train * min(views if augmented and views else 1, epochs) + val
            else:
                inference += epochs * (train + val)
            first = end + 1
        return Work(training, inference)

    def views(self, epoch: int) -> int | None:
        """How many views of a sample the epochs around this one use in turn; None where each draws its own."""
        return self._views[self.number(epoch)]

    def draw(self, epoch: int) -> int:
        """The epoch (from 1) whose augmentation is seen in `epoch`: itself, or with views one of the first."""
        views = self.views(epoch)
        return epoch if views is None else (epoch - 1) % views + 1

    def number(self, epoch: int) -> int:
        """Return the index of the phase that `epoch` (from 1) is in."""
        return next((index for index, end in enumerate(self.ends) if epoch <= end), len(self.ends) - 1)

    def describe(self, number: int) -> str:
        """Return what learns in phase `number` (from 0)."""
        if self.only_head(self.ends[number]):
            return "the head alone"
        freeze = self._train.each_phase[number].freeze
        return f"what comes after {freeze}" if freeze else "everything"

    def gentler(self, number: int) -> str:
        """Return what may let phase `number` (from 0) do less harm, as options of it."""
        phase = self._train.each_phase[number]
        trains = self._has_norm and self.norms[number] == "train" and not self.only_head(self.ends[number])
        options = ['"norm": "frozen"'] if trains else []
        options.append(f'"lr_scale": {phase.lr_scale / 3:.1g}')
        if phase.layer_decay == 1 and not self.only_head(self.ends[number]):
            options.append('"layer_decay": 0.7')
        return ", ".join(options)

    def table(self, net: Net, lr: float) -> list[list[str]]:
        """For people: each stage's parameters, and its learning rate in each phase before the scheduler's factor."""
        starts = [1, *(end + 1 for end in self.ends)]
        epochs = [f"epoch {a}" if a == b else f"epochs {a}-{b}" for a, b in zip(starts, self.ends, strict=False)]
        rows = [["stage", "parameters", *epochs]]
        for stage, names in net.stages.items():
            count = sum(net.get_parameter(name).numel() for name in names)
            shown = "by the dataset" if stage == "head" else f"{count:,}"
            phases = [phase[stage] for phase in self.phases]
            rows.append([stage, shown, *("frozen" if each.frozen else f"{lr * each.rate:.3g}" for each in phases)])
        if self._has_norm:
            frozen = (self.only_head(end) or self.norms[number] == "frozen" for number, end in enumerate(self.ends))
            rows.append(
                ["batch norm", "", *("frozen" if f else norm for f, norm in zip(frozen, self.norms, strict=True))]
            )
        if len(self.ends) > 1:
            rows.append(["warm-up", "", "none", *("half an epoch" for _ in self.ends[1:])])
        if any(inputs := [phase.input for phase in self._train.each_phase]):
            rows.append(["input", "", *(_short(each) for each in inputs)])
        if any(anew := [phase.restart for phase in self._train.each_phase[1:]]):
            rows.append(["schedule", "", "begins", *("begins" if each else "goes on" for each in anew)])
        return rows


def _short(overrides: Mapping[str, Any] | None) -> str:
    """Overrides of an input, for people: `size 96`."""
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in (overrides or {}).items()) or "as it is"


def only_head(net: Net, phase: Phase) -> bool:
    """Return whether every stage but the head is frozen in `phase`."""
    stages = list(net.stages)[:-1]
    return phase.freeze == "features" or phase.freeze in stages[-1:] or not stages


def table_of(spec: RunSpec) -> list[list[str]]:
    """`Plan.table` of a spec's net, whose head is made for two classes, since the dataset is not read."""
    with inside(spec.backbone, "backbone"):
        backbone = spec.backbone.without_weights()
    net: Net = build(backbone, "backbone", spec.input_overrides)
    net.set_targets({"label": Classes(names=("one", "other"))})
    for index, modifier in enumerate(spec.modifiers):
        net = build(modifier, f"modifiers.{index}", net)
    return Plan(net, spec.train).table(net, getattr(spec.optimizer, "lr", 1.0))


def _lay_out(stages: list[str], phase: Phase, where: str) -> dict[str, Stage]:
    """Each stage in one phase. Raises SpecError where it freezes a stage that there is not, or all of them."""
    last = phase.freeze
    if last not in (None, "features", *stages[:-1]):
        raise SpecError(
            f"{last!r} is no stage that can be frozen.{did_you_mean(str(last), ['features', *stages[:-1]])} "
            f"Stages of this backbone: {', '.join(stages[:-1])}; features is all of them.",
            where=f"{where}.freeze",
        )
    frozen = len(stages) - 1 if last == "features" else 0 if last is None else stages.index(last) + 1
    deepest = len(stages) - 1
    return {
        stage: Stage(index < frozen, phase.lr_scale * phase.layer_decay ** (deepest - index))
        for index, stage in enumerate(stages)
    }
