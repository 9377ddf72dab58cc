"""What every part is: a pydantic class whose fields are its options."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from ftrun.contracts.paths import expand_all

if TYPE_CHECKING:
    from ftrun.contracts.data import Split
    from ftrun.contracts.net import Net


class Part(BaseModel):
    """What every part has. A subclass gives `name: Literal["its-name"]` and its options, each with a description.

    A part that stands for a family names in `family` the field that takes what follows a slash in the spec: with
    `family = "model"`, "timm/resnet18" is {"name": "timm", "model": "resnet18"}. A part with `default = True` is taken
    where the spec leaves its role out.

    An option that is a `Path` has its leading `~` expanded. A relative one counts from the folder that the run is
    started in; where the run is opened again it is, first of all, the file or folder that it was then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    role: ClassVar[str]
    tag: ClassVar[str] = "name"
    """The field that tells the parts of a role apart: `name`, as specs have it."""
    family: ClassVar[str | None] = None
    default: ClassVar[bool] = False

    if TYPE_CHECKING:
        name: str = ""  # every part whose tag it is has one; for the others it is no option

    @model_validator(mode="after")
    def _expand_paths(self) -> Self:
        for option, value in list(self):
            self.__dict__[option] = expand_all(value)  # the model is frozen for everyone else
        return self

    @classmethod
    def has_member(cls, name: str) -> bool:
        """Return whether the family has a member of that name: for a message on a spec that leaves the family out.

        Answered without loading a library; False where that cannot be known.
        """
        return False

    def paths(self) -> dict[str, Path]:
        """Return the options that are a path, by name."""
        return {option: value for option, value in self if isinstance(value, Path)}


class Fittable(Part):
    """What may look at the training samples before the net is trained."""

    def fit(self, net: "Net", train: "Split") -> None:
        """Learn from the raw training samples how inputs are to be prepared, and give it to `net.set_input`.

        Called after `build` in a new run alone: one that goes on, or is opened again, has its input saved.
        """
