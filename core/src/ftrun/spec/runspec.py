"""The run spec: a typed base class, and the same with what is installed put into it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from ftrun.contracts import specs
from ftrun.contracts.nested import parts_in
from ftrun.contracts.specs import Part
from ftrun.contracts.targets import Target
from ftrun.spec.trainspec import _STRICT, Evaluation, Train


class RunSpec(BaseModel):
    """Everything that a run is made of."""

    model_config = _STRICT

    schema_: str | None = Field(None, alias="$schema", description="For editors: where `ftrun schema` was written to.")
    parts_: str | None = Field(
        None,
        alias="parts",
        min_length=1,
        description="Python file with parts of this project's own, relative to the spec's folder.",
    )
    dataset: specs.Dataset = Field(description="What to learn from.")
    sampler: specs.Sampler | None = Field(
        None, description="Which training samples an epoch takes; each once, in a random order, if not given."
    )
    backbone: specs.Backbone = Field(description="The pretrained net.")
    input: BaseModel | None = Field(
        None, description="Overrides of how inputs are prepared; the backbone's own way if not given."
    )
    modifiers: tuple[specs.Modifier, ...] = Field((), description="Changes to the net, in order.")
    head: specs.Head | Mapping[str, specs.Head] | None = Field(
        None,
        description="What turns features into outputs, each target's own kind if not given; {target: head} for some.",
    )
    augment: tuple[specs.Augmentation, ...] = Field((), description="Random changes of training inputs, in order.")
    loss: specs.Loss | Mapping[str, specs.Loss] | None = Field(
        description="How far outputs are from the truth; with several targets, {target: loss} where they differ. "
        "Left out where the objective takes none."
    )
    objective: specs.Objective | None = Field(
        None, description="What training makes small; the sum of the targets' losses if not given."
    )
    optimizer: specs.Optimizer = Field(description="How weights change.")
    scheduler: specs.Scheduler | None = Field(
        None, description="How the learning rate changes; it does not if not given."
    )
    metrics: tuple[specs.Metric, ...] = Field(
        (), description="What predictions are evaluated by; train.monitor may name one."
    )
    observers: tuple[specs.Observer, ...] = Field((), description="What follows the run.")
    recipe: specs.Recipe | None = Field(
        None, description="What fills in how to train; the default one where loss or optimizer are left out."
    )
    train: Train = Field(default_factory=Train, description="How long and in what portions to train.")
    evaluation: Evaluation = Field(default_factory=Evaluation, description="How the net is evaluated, and predicts.")
    seed: int = Field(0, ge=0, lt=2**63, description="Where all randomness starts from.")

    def parts(self) -> "Iterator[tuple[str, Part]]":
        """Yield every part that the spec names, with its place in the spec: `metrics.0`."""
        for slot in SLOTS:
            # What is no part is nothing at all, or was left as it is, see `run_spec_model`.
            yield from (each for each in slot.places(getattr(self, slot.key)) if isinstance(each[1], Part))

    def every_part(self) -> "Iterator[tuple[str, Part]]":
        """Yield the same, and the parts that are options of others: `optimizer.of`."""
        for where, part in self.parts():
            yield from parts_in(part, where)

    def augmentations(self, progress: float = 0) -> "list[tuple[str, specs.Augmentation]]":
        """Return the augmentations, in order, each with its place: of a set, those that it stands for.

        progress: how much of the run is done, 0 to 1: those that are off by then are left out
        """
        listed = (
            each
            for where, part in self.parts()
            if isinstance(part, specs.Augmentation)
            for each in members(part, where)
        )
        return [(where, part) for where, part in listed if progress < part.until]

    @property
    def input_overrides(self) -> dict[str, Any]:
        """The fields of the input that the spec changes."""
        return self.input.model_dump(exclude_unset=True) if self.input else {}

    @property
    def monitors(self) -> list[str]:
        """Figures that `train.monitor` may name, as far as the spec tells: with several targets, val/<target>/<one>."""
        return [*(f"val/{metric.key}" for metric in self.metrics if metric.higher_is_better is not None), "val/loss"]

    def loss_of(self, target: str) -> specs.Loss:
        """Return the loss of one of the dataset's targets, of a spec that has losses."""
        loss = self.loss[target] if isinstance(self.loss, Mapping) else self.loss
        assert loss is not None
        return loss

    def head_of(self, name: str, target: Target) -> tuple[str, specs.Head]:
        """Return the head for one of the dataset's targets, with its place in the spec."""
        if isinstance(self.head, Mapping):
            head = self.head.get(name)
            return f"head.{name}", head or target.default_head()
        return "head", self.head or target.default_head()

    def resolved(self) -> dict[str, Any]:
        """Return the spec with every default, as JSON values; without what its recipe, if it has one, is to fill in."""
        dump = self.model_dump(mode="json", by_alias=True, serialize_as_any=True, exclude={"schema_", "input"})
        if self.recipe:
            dump = {key: value for key, value in dump.items() if key not in ("loss", "optimizer") or value is not None}
        if self.train.minutes is not None:
            dump["train"] = {key: value for key, value in dump["train"].items() if key not in ("epochs", "phases")}
        return {**dump, "input": self.input.model_dump(mode="json", exclude_unset=True) if self.input else None}


def members(part: specs.Augmentation, where: str) -> "Iterator[tuple[str, specs.Augmentation]]":
    """Yield what an augmentation stands for: itself, or those of a set, which are on as long as the set at most."""
    if not isinstance(part, specs.AugmentationSet):
        yield where, part
        return
    for index, member in enumerate(part.of):
        until = min(part.until, member.until)
        yield from members(member.model_copy(update={"until": until}), f"{where}.of.{index}")


@dataclass(frozen=True)
class Slot:
    """A key of the spec that holds parts of one role."""

    key: str
    role: type[Part]
    many: bool = False
    by_target: bool = False
    """Whether it may hold a part for each target, by name."""

    def maps(self, value: Any) -> bool:
        """Return whether this value of it is such a mapping, and not one part."""
        return (
            self.by_target
            and isinstance(value, dict)
            and not isinstance(value.get("name"), str)
            and bool(value)
            and all(isinstance(each, str | dict | Part) for each in value.values())
        )

    def places(self, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield what this value of it holds, each part with its place in the spec: `metrics.0`, `loss.label`."""
        if self.many and isinstance(value, list | tuple):
            yield from ((f"{self.key}.{index}", part) for index, part in enumerate(value))
        elif self.maps(value):
            yield from ((f"{self.key}.{target}", part) for target, part in value.items())
        else:
            yield self.key, value

    def depth(self, data: dict[str, Any]) -> int:
        """Return how many steps it is in `data` from the top to a part of it."""
        return 2 if self.many or self.maps(data.get(self.key)) else 1


SLOTS = (
    Slot("dataset", specs.Dataset),
    Slot("sampler", specs.Sampler),
    Slot("backbone", specs.Backbone),
    Slot("modifiers", specs.Modifier, many=True),
    Slot("head", specs.Head, by_target=True),
    Slot("augment", specs.Augmentation, many=True),
    Slot("loss", specs.Loss, by_target=True),
    Slot("objective", specs.Objective),
    Slot("optimizer", specs.Optimizer),
    Slot("scheduler", specs.Scheduler),
    Slot("metrics", specs.Metric, many=True),
    Slot("observers", specs.Observer, many=True),
    Slot("recipe", specs.Recipe),
)
