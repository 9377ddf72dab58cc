"""What resolved.json and net.json have to hold for a run to be opened: checked before anything is built from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.specs import ROLES
from ftrun.contracts.targets import Classes, Target

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
    targets: Annotated[dict[str, Target], Field(min_length=1)]
    samples: dict[str, int]
    notes: list[str] = []
    class_counts: Counts = {}

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
            if not isinstance(target, Classes) or set(counts) != set(target.names):
                raise ValueError(f"class_counts: is not of the classes of {name!r}")
        return self


class NetRecord(BaseModel):
    """Of net.json, what a net is built by."""

    input: dict[str, Any]
    targets: Annotated[dict[str, Target], Field(min_length=1)]
    micro_batch: Annotated[int, Field(ge=1)] | None = None


def checked(kind: type[T], value: Mapping[str, Any], path: Path) -> T:
    """`value`, as the file at `path` holds it. Raises FtrunError, with the first place that is wrong."""
    try:
        return kind.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        what = f"{place}: {said[:1].lower()}{said[1:]}" if place else said
        raise FtrunError(f"{path}: is damaged: it does not describe a run: {what}.") from None
