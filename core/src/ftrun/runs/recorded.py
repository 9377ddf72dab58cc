"""What the files of a run folder have to hold; `recordedrun` reads them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.specs import ROLES
from ftrun.contracts.targets import Target
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.runs.targetkinds import kinds_in, of_kinds

T = TypeVar("T", bound=BaseModel)
Counts = dict[str, dict[str, Annotated[int, Field(ge=0)]]]


def _known(role: str) -> str:
    if role not in {each.role for each in ROLES}:
        raise ValueError(f"no role is called {role!r}")
    return role


class Plugin(BaseModel):
    """A part of the spec, and where it comes from."""

    role: Annotated[str, AfterValidator(_known)]
    name: str
    distribution: str
    version: str
    sha256: str | None = None


class Versions(BaseModel):
    """Of what the run was made with."""

    torch: str


class RecipePart(BaseModel):
    """The recipe that a spec had."""

    name: str


class RecipeRecord(BaseModel):
    """What a recipe filled in."""

    part: RecipePart
    summary: str
    why: dict[str, str] = {}
    minutes: Annotated[float, Field(gt=0)] | None = None
    knots: list[tuple[Annotated[int, Field(ge=0)], float, float]] = []


class Resolved(BaseModel):
    """Of resolved.json, what a run is opened by."""

    spec: dict[str, Any]
    plugins: list[Plugin]
    versions: Versions
    device: str
    precision: Literal["fp32", "bf16"]
    memory_format: Literal["channels_last", "contiguous"]
    norms: Annotated[list[Literal["train", "frozen"]], Field(min_length=1)]
    threads: Annotated[int, Field(ge=1)] | None = None
    input: dict[str, Any]
    targets: dict[str, Target]
    samples: dict[str, int]
    notes: list[str] = []
    class_counts: Counts = {}
    recipe: RecipeRecord | None = None
    steps_per_epoch: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _norms_are_of_the_phases(self) -> Self:
        train = self.spec.get("train")
        phases = train.get("phases") if isinstance(train, dict) else None
        if len(self.norms) != (len(phases) if isinstance(phases, list) else 1):
            raise ValueError("norms: is not of the spec's phases")
        return self

    @model_validator(mode="after")
    def _counts_are_of_the_classes(self) -> Self:
        for name, counts in self.class_counts.items():
            target = self.targets.get(name)
            if target is None or set(counts) != set(target.names_in_use()):
                raise ValueError(f"class_counts: is not of the classes of {name!r}")
        return self


class Targets(BaseModel):
    """Of net.json, what the net predicts."""

    targets: dict[str, Target]


class NetRecord(Targets):
    """Of net.json, what a net is built by."""

    input: dict[str, Any]
    micro_batch: Annotated[int, Field(ge=1)] | None = None


def checked(kind: type[T], value: Mapping[str, Any], path: Path, catalogue: Callable[[], Catalogue] = installed) -> T:
    """Return `value`, which the file at `path` holds, as a model.

    catalogue: gives where kinds of target come from that are not the core's

    Raises FtrunError, with the first mistake; PluginError where a target is of a kind that is not installed.
    """
    kinds = kinds_in(value, catalogue)
    try:
        model: T = of_kinds(kind, kinds).model_validate_json(json.dumps(value), strict=True)
        return model
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        what = f"{place}: {message[:1].lower()}{message[1:]}" if place else message
        raise FtrunError(f"{path}: is damaged: it does not describe a run: {what}.") from None
