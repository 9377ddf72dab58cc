"""The run spec: a typed base class, and the same with what is installed put into it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from ftrun.contracts import specs
from ftrun.contracts.inputs import ImageInput, InputSpec
from ftrun.contracts.specs import Part
from ftrun.plugins.catalogue import Catalogue

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
_LONGEST_WARM_UP = 100  # steps


class Phase(BaseModel):
    """Some epochs in which the same stages learn, at the same rates."""

    model_config = _STRICT

    epochs: int = Field(ge=1, description="Passes over the training samples.")
    freeze: str | None = Field(
        None,
        description="The last stage that does not learn: it and all stages before it are frozen; "
        "features freezes everything but the head.",
    )
    views: int | None = Field(
        None,
        ge=1,
        description="Augmented views of each sample that the epochs use in turn; each epoch draws its own if not "
        "given. Where all but the head is frozen, the backbone then runs only once on each view.",
    )
    lr_scale: float = Field(1.0, gt=0, description="Factor on the learning rate.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor on the learning rate from each stage to the one before it; the head has 1."
    )
    norm: Literal["auto", "train", "frozen"] = Field(
        "auto",
        description="Whether batch normalisation goes by each batch's statistics (train) or keeps the pretrained ones "
        "(frozen), while its scale and shift learn. auto keeps them after a phase of the head alone, where steps are "
        "few or batches small.",
    )


class Train(BaseModel):
    """How long and in what portions to train."""

    model_config = _STRICT

    epochs: int = Field(10, ge=1, description="Passes over the training samples; with phases, their sum.")
    phases: tuple[Phase, ...] | None = Field(
        None, min_length=1, description="What learns when, and how fast; everything does throughout if not given."
    )
    batch_size: int = Field(64, ge=1, description="Samples that go through the net at once.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients make one optimizer step.")
    monitor: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None,
        description="Figure that decides which epoch is best, such as val/accuracy, or several, whose mean does; "
        "if not given, the first metric, or with several targets the loss.",
    )
    loss_weights: Literal["uncertainty"] | dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="Weight of each target's loss by its name, 1 if not given; uncertainty learns them.",
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after this many epochs in which monitor gets no better; never if not given."
    )
    clip: float | None = Field(
        None, gt=0, description="Largest norm of the gradient; longer ones are scaled down to it."
    )
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay of an average of the weights, which is then what is judged and kept as best.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of the forward pass; weights and optimizer stay in fp32. "
        "auto takes what is fastest here.",
    )
    memory_format: Literal["auto", "channels_last", "contiguous"] = Field(
        "auto", description="Order of an image's values in memory. auto takes what is fastest here."
    )
    compile: bool = Field(
        False, description="Compile the net (torch.compile): a minute before the first step, faster steps after it."
    )
    cuda_graphs: bool = Field(
        True,
        description="On a GPU, record a training step once and replay it; false where a net or a loss does in Python "
        "what differs from step to step.",
    )
    on_nonfinite: Literal["stop", "skip", "back"] = Field(
        "stop",
        description="What a loss or gradient that is not finite does: stop the run, skip the step, "
        "or go back to the last checkpoint with half the learning rate.",
    )
    on_corrupt: Literal["error"] | Annotated[int, Field(ge=1)] = Field(
        "error", description="What a sample that cannot be read is: an error, or skipped, up to so many samples."
    )
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Longest time between two checkpoints; the end of each epoch makes one too."
    )
    workers: int | None = Field(
        None,
        ge=0,
        le=256,
        description="Processes that read samples; chosen by the data and the processor if not given.",
    )
    val_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Part of the training samples that becomes val where the dataset has no val.",
    )

    @model_validator(mode="after")
    def _add_up_phases(self) -> Self:
        if self.phases is not None:
            total = sum(phase.epochs for phase in self.phases)
            if "epochs" not in self.model_fields_set:
                self.__dict__["epochs"] = total  # the model is frozen for everyone else
            elif self.epochs != total:
                raise ValueError(f"epochs is {self.epochs}, but the phases make {total}; leave epochs out")
        return self

    @property
    def each_phase(self) -> tuple[Phase, ...]:
        """The phases, of which there is always one at the least."""
        return self.phases or (Phase(epochs=self.epochs),)

    def warm_up(self, step: int, steps_per_epoch: int) -> float:
        """Return the factor on every learning rate at `step` (from 0): it rises where a phase after the first begins.

        What has learnt nothing yet meets a head that has, and an optimizer whose averages are of other gradients. The
        rise takes half of the phase's first epoch, at most 100 steps, whatever the length of the phase: a run that is
        made longer does not rise twice.
        """
        length = min(steps_per_epoch // 2, _LONGEST_WARM_UP)
        begun = 0
        for phase in self.each_phase[:-1]:
            begun += phase.epochs * steps_per_epoch
            if begun <= step < begun + length:
                return (step - begun + 1) / (length + 1)
        return 1.0

    def extended(self, epochs: int) -> Self:
        """The same for `epochs` in all, at least as many; the last phase grows."""
        phases = self.phases
        if phases:
            last = phases[-1]
            longer = last.model_copy(update={"epochs": last.epochs + epochs - self.epochs})
            phases = (*phases[:-1], longer)
        return self.model_copy(update={"epochs": epochs, "phases": phases})


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
    backbone: specs.Backbone = Field(description="The pretrained net.")
    input: BaseModel | None = Field(
        None, description="Overrides of how inputs are prepared; the backbone's own way if not given."
    )
    modifiers: tuple[specs.Modifier, ...] = Field((), description="Changes to the net, in order.")
    augment: tuple[specs.Augmentation, ...] = Field((), description="Random changes of training inputs, in order.")
    loss: specs.Loss | Mapping[str, specs.Loss] = Field(
        description="What training makes small; with several targets, {target: loss} where they differ."
    )
    optimizer: specs.Optimizer = Field(description="How weights change.")
    scheduler: specs.Scheduler | None = Field(
        None, description="How the learning rate changes; it does not if not given."
    )
    metrics: tuple[specs.Metric, ...] = Field(
        (), description="What predictions are judged by; train.monitor may name one."
    )
    observers: tuple[specs.Observer, ...] = Field((), description="What follows the run.")
    train: Train = Field(default_factory=Train, description="How long and in what portions to train.")
    seed: int = Field(0, ge=0, lt=2**63, description="Where all randomness starts from.")

    def parts(self) -> "Iterator[tuple[str, Part]]":
        """Every part that the spec names, with its place in the spec: `metrics.0`."""
        for slot in SLOTS:
            value = getattr(self, slot.key)
            if slot.many:
                places = {f"{slot.key}.{index}": part for index, part in enumerate(value or ())}
            elif isinstance(value, Mapping):
                places = {f"{slot.key}.{target}": part for target, part in value.items()}
            else:
                places = {slot.key: value}
            # What is no part is nothing at all, or was left as it is, see `run_spec_model`.
            yield from ((where, part) for where, part in places.items() if isinstance(part, Part))

    @property
    def input_overrides(self) -> dict[str, Any]:
        """The fields of the input that the spec changes."""
        return self.input.model_dump(exclude_unset=True) if self.input else {}

    @property
    def monitors(self) -> list[str]:
        """Figures that `train.monitor` may name, as far as the spec tells: with several targets, val/<target>/<one>."""
        return [*(f"val/{metric.key}" for metric in self.metrics if metric.higher_is_better is not None), "val/loss"]

    def loss_of(self, target: str) -> specs.Loss:
        """The loss of one of the dataset's targets."""
        return self.loss[target] if isinstance(self.loss, Mapping) else self.loss

    def resolved(self) -> dict[str, Any]:
        """The spec with every default, as JSON values."""
        dump = self.model_dump(mode="json", by_alias=True, serialize_as_any=True, exclude={"schema_", "input"})
        return {
            **dump,
            "input": self.input.model_dump(mode="json", exclude_unset=True) if self.input else None,
        }


@dataclass(frozen=True)
class Slot:
    """A key of the spec that holds parts of one role."""

    key: str
    role: type[Part]
    many: bool = False
    by_target: bool = False
    """Whether it may hold a part for each target, by name."""

    def maps(self, value: Any) -> bool:
        """Whether this value of it is such a mapping, and not one part."""
        return (
            self.by_target
            and isinstance(value, dict)
            and not isinstance(value.get("name"), str)
            and bool(value)
            and all(isinstance(each, str | dict) for each in value.values())
        )

    def depth(self, data: dict[str, Any]) -> int:
        """How many steps it is in `data` from the top to a part of it."""
        return 2 if self.many or self.maps(data.get(self.key)) else 1


SLOTS = (
    Slot("dataset", specs.Dataset),
    Slot("backbone", specs.Backbone),
    Slot("modifiers", specs.Modifier, many=True),
    Slot("augment", specs.Augmentation, many=True),
    Slot("loss", specs.Loss, by_target=True),
    Slot("optimizer", specs.Optimizer),
    Slot("scheduler", specs.Scheduler),
    Slot("metrics", specs.Metric, many=True),
    Slot("observers", specs.Observer, many=True),
)


def expand(data: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """`data` with every part as an object: "sgd" is {"name": "sgd"}; roles left out get their default part.

    Where several parts may be, a single one is a list of one.
    """
    expanded = dict(data)
    for slot in SLOTS:
        default = catalogue.default(slot.role.role)
        if slot.key not in data:
            if default is not None and not slot.many:
                expanded[slot.key] = {"name": default}
        elif slot.many:
            given = data[slot.key]
            listed = [given] if isinstance(given, str | dict) else given  # a single part is a list of one
            if isinstance(listed, list):
                expanded[slot.key] = [_expand_part(value, slot.role, catalogue) for value in listed]
        elif slot.maps(data[slot.key]):
            items = data[slot.key].items()
            expanded[slot.key] = {target: _expand_part(value, slot.role, catalogue) for target, value in items}
        else:
            expanded[slot.key] = _expand_part(data[slot.key], slot.role, catalogue)
    return expanded


def _expand_part(value: Any, role: type[Part], catalogue: Catalogue) -> Any:
    if not isinstance(value, str):
        return value
    name, _, rest = value.partition("/")
    part = catalogue.parts(role.role).get(name)
    if rest and part is not None and part.family:
        return {"name": name, part.family: rest}
    return {"name": value}


def run_spec_model(catalogue: Catalogue, data: dict[str, Any], keys: Collection[str] | None = None) -> type[RunSpec]:
    """The model that checks `data` (expanded): what is installed, and the input that its backbone takes.

    keys: those of the parts that are wanted; others are left as they are, plain JSON; all if not given
    """
    inputs = _input_types(catalogue)
    backbone = data.get("backbone")
    name = backbone.get("name") if isinstance(backbone, dict) else None
    part = catalogue.parts("backbone").get(name) if isinstance(name, str) else None
    chosen = getattr(part, "input_type", inputs[0])
    mapped = {slot.key for slot in SLOTS if slot.maps(data.get(slot.key))}
    return _model(catalogue, chosen.overrides(), mapped, keys)


def json_schema(catalogue: Catalogue) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a spec, given what is installed."""
    overrides: Any = Union[tuple(each.overrides() for each in _input_types(catalogue))]  # noqa: UP007
    schema = _model(catalogue, overrides, None).model_json_schema()
    optional = {slot.key for slot in SLOTS if catalogue.default(slot.role.role)}
    schema["required"] = [key for key in schema["required"] if key not in optional]
    schema["title"] = "ftrun spec"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _input_types(catalogue: Catalogue) -> list[type[InputSpec]]:
    types = (part.input_type for part in catalogue.parts("backbone").values() if issubclass(part, specs.Backbone))
    return list(dict.fromkeys(types)) or [ImageInput]


def _model(
    catalogue: Catalogue, overrides: Any, mapped: Collection[str] | None, keys: Collection[str] | None = None
) -> type[RunSpec]:
    """mapped: keys that hold a part for each target; where that is not known, those that may, may."""
    fields: dict[str, Any] = {}
    for slot in SLOTS:
        if keys is not None and slot.key not in keys:
            fields[slot.key] = _retyped(slot.key, Any)
            continue
        one: Any = one_of(slot.role, catalogue)
        if slot.many:
            one = Annotated[tuple.__class_getitem__((one, ...)), _OneOrMany()]
        elif mapped is None and slot.by_target:
            one = one | Annotated[dict.__class_getitem__((str, one)), _ByTarget()]
        elif mapped and slot.key in mapped:
            one = dict.__class_getitem__((str, one))
        elif not RunSpec.model_fields[slot.key].is_required():
            one = one | None
        fields[slot.key] = _retyped(slot.key, one)
    fields["input"] = _retyped("input", overrides | None)
    return create_model("RunSpec", __base__=RunSpec, __doc__=RunSpec.__doc__, **fields)


def _retyped(key: str, annotation: Any) -> tuple[Any, Any]:
    """A field of RunSpec with another type. The field itself would bring its old type along, so it is made anew."""
    info = RunSpec.model_fields[key]
    default = ... if info.is_required() else info.default
    return annotation, Field(default, description=info.description)


class _Shorthand:
    """Lets JSON Schema accept a part's name, or family/member, where the object needs no more than that."""

    def __init__(self, parts: dict[str, type[Part]]) -> None:
        self.parts = parts

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        needs = {
            name: {field for field, info in part.model_fields.items() if info.is_required()} - {"name"}
            for name, part in self.parts.items()
        }
        plain = [name for name, required in needs.items() if not required]
        families = [
            {"type": "string", "pattern": "^" + name.replace(".", r"\.") + "/."}
            for name, part in self.parts.items()
            if part.family and needs[name] <= {part.family}
        ]
        names = [{"enum": plain}] if plain else []
        return {"anyOf": [handler(core), *names, *families]}


class _OneOrMany:
    """Lets JSON Schema accept a single part where a list of them may be."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        several = handler(core)
        return {"anyOf": [several, several["items"]]}


class _ByTarget:
    """Lets JSON Schema tell a part for each target from one part: by `name`, as `Slot.maps` does."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        one_part = {"properties": {"name": {"type": "string"}}, "required": ["name"]}
        return {**handler(core), "minProperties": 1, "not": one_part}


def one_of(role: type[Part], catalogue: Catalogue) -> Any:
    """The pydantic type of a part of one role, told apart by its name."""
    parts = catalogue.parts(role.role)
    classes = tuple(dict.fromkeys(parts.values()))
    if not classes:
        return Annotated[Any, BeforeValidator(_nothing_installed), WithJsonSchema({"not": {}})]
    union: Any = Union[classes]  # noqa: UP007
    return Annotated[union, Field(discriminator="name"), _Shorthand(parts)]


def _nothing_installed(value: Any) -> Any:
    # The same error as for any unknown name, so that it gets the same message.
    raise PydanticCustomError("union_tag_invalid", "nothing is installed for this role")
