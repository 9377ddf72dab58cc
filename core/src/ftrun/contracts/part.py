"""What every part is: a pydantic class whose fields are its options."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from ftrun.contracts.errors import FtrunError
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

    def agrees(self, spec: Any) -> Iterator[str]:
        """Yield what does not fit of this part and others of the spec: a sentence each, told before anything is loaded.

        It may raise SpecError instead. Called where each part's own options are right; it must not load torch.

        spec: the checked spec, whose parts are objects: `spec.optimizer`, `spec.train.batch_size`
        """
        yield from ()

    def paths(self) -> dict[str, Path]:
        """Return the options that are a path, by name."""
        return {option: value for option, value in self if isinstance(value, Path)}


@dataclass(frozen=True)
class PartState:
    """What a part needs in addition to its options to be built again: a vocabulary, a configuration, pruned widths.

    values: JSON values and tensors, nested in lists and dicts
    files: {name: content}, what is a file of its own in a checkpoint
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a file's content as a text. Raises FtrunError where it has no such file, or it is no text."""
        try:
            return self.files[name].decode()
        except (KeyError, UnicodeDecodeError):
            raise FtrunError(f"what was saved of it is damaged: it has no text {name}.") from None


class Stateful(Part):
    """What may need more than its options to be built again."""

    def state(self, made: Any) -> PartState | None:
        """Return what `build` needs to make the same again; None if that is nothing but the options.

        It is asked for each time that a checkpoint is written, and `build` gets it back as `state` where the run is
        resumed or opened: such a part's `build` has one argument more, `state: PartState | None = None`, which is None
        in a new run. It comes from a file that anybody may have written.

        made: what `build` gave, as it is now
        """
        return None


class Fittable(Stateful):
    """What may look at the training samples before the net is trained."""

    def fit(self, net: "Net", train: "Split") -> None:
        """Learn from the raw training samples how inputs are to be prepared, and give it to `net.set_input`.

        Called after `build` in a new run alone: one that goes on, or is opened again, has its input saved, and what
        `state` gave.
        """
