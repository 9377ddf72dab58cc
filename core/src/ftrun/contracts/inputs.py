"""The contract of an input, whatever its modality."""

import json
import os
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, create_model

from ftrun.contracts.errors import FtrunError, SpecError
from ftrun.contracts.geometry import Size, Warp
from ftrun.contracts.layout import Layout, described

if TYPE_CHECKING:
    from torch import Tensor, nn

Tensors: TypeAlias = "Tensor | Mapping[str, Tensor]"
"""A tensor [B, ...], or several by name."""


class PlainCode(NamedTuple):
    """Python that prepares a file as an input does, with public libraries alone: for whoever has no ftrun."""

    imports: str
    """Import statements, a line each."""
    prepare: str
    """Two functions of what net.json has as `input`, a dict: `prepare(file, input)` gives an array, a batch of one as
    `collate` gives it; `normalise(batch, input)` makes of it what `prepare` of the input does, float32."""
    prepare_by_torch: str
    """The same two functions with torch at hand: to the bit what `collate` gives."""
    file: str
    """A file's name, for an example."""

    def imports_with(self, *others: str) -> str:
        """Return its import statements and others, a line each: the standard library's, and `import`, come first."""
        lines = {*self.imports.splitlines(), *others}
        ordered = sorted(lines, key=lambda line: (line.startswith("from"), line))
        standard = [line for line in ordered if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
        return "\n".join([*standard, "", *(line for line in ordered if line not in standard)])


class InputSpec(BaseModel):
    """How raw inputs become what the net takes; it comes with the pretrained weights and is saved beside them.

    It works in two halves: `collate` on the CPU, possibly in a worker, keeps what has to travel small; what
    `preparation` gives runs on the device, on whole batches, after augmentation. A subclass adds `kind: Literal[...]`
    and its fields, and imports torch inside its methods only. It writes `collate`, `example`, `accepts`, and one of
    `prepare` and `preparation`.

    raw_kind: what its raw inputs are, such as `image`: datasets say what they give, augmentations what they
        change, by the same word; the `kind` of the class right below this one if not given
    suffixes: how names of files that `read` reads end, in lower case: what is taken from a folder
    task: what model hubs call telling classes of such inputs, if they have a name for it
    sample_expr: Python for what a user has in hand, as `from_user` takes it
    plain_code: how a file is prepared without ftrun, if a few lines can tell
    cached: whether what `collate` gives is kept from run to run, where its layout is known; False where to prepare a
        sample takes no longer than to read it from there
    """

    raw_kind: ClassVar[str] = ""
    suffixes: ClassVar[tuple[str, ...]] = ()
    task: ClassVar[str | None] = None
    sample_expr: ClassVar[str] = "what_it_takes"
    plain_code: ClassVar[PlainCode | None] = None
    cached: ClassVar[bool] = True

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        kinds = get_args(cls.model_fields["kind"].annotation) if "kind" in cls.model_fields else ()
        if kinds and not cls.raw_kind:
            cls.raw_kind = kinds[0]
        if kinds and cls.prepare is InputSpec.prepare and cls.preparation is InputSpec.preparation:
            raise TypeError(f"{cls.__name__} needs prepare(batch), or preparation(), a module")

    def accepts(self, raw: Any) -> bool:
        """Return whether a raw input is one that `collate` takes."""
        return True

    @property
    def requirement(self) -> str:
        """What `accepts` asks for, in words: "a text, str", after "it takes"."""
        return f"raw inputs of the kind {self.raw_kind!r}"

    @abstractmethod
    def collate(self, raw: Any) -> Tensors:
        """Return what travels to the device: a tensor [B, ...], or several by name.

        Samples of different sizes are filled up at their ends to the largest of the batch. The values of a sample
        depend on no other one: alone, it gives the same.

        raw: a list of raw inputs, which `accepts` has seen; or a whole batch, where the dataset gives them so
        """

    def preparation(self) -> "nn.Module":
        """Return a module: what `collate` gave -> what `Net.features` takes, both [B, ...] on the net's device.

        Its buffers, such as a filterbank, go where the net goes, and into what is exported; it is in evaluation mode,
        nothing of it learns, and nothing is saved with the weights: it is made anew from this input's fields. It runs
        in float32, without autocast. If a subclass has none, it is `prepare` as a module.
        """
        from ftrun.contracts.preparation import Preparation

        return Preparation(self)

    def prepare(self, batch: Any) -> Any:
        """Return what `Net.features` takes, from what `collate` gave, on the same device.

        For inputs whose preparation keeps no tensors, a subclass writes this one. If not, a module is made for each
        call: for a try; a net has its own, `Net.prepare`.
        """
        device = next(iter(batch.values())).device if isinstance(batch, Mapping) else batch.device
        return self.preparation().eval().requires_grad_(False).to(device)(batch)

    @abstractmethod
    def example(self, count: int) -> Any:
        """Return `count` made-up raw inputs, always the same: to try a net on. Where sizes differ, so do theirs."""

    def alternatives(self) -> Iterator[tuple[Self, str]]:
        """Yield inputs that a net might take where it does not take this one, each with a sentence for the user."""
        yield from ()

    def read(self, path: str | os.PathLike[str]) -> Any:
        """Return one raw input from a file. Raises DataError, with the path, where it cannot be read."""
        raise SpecError(f"{os.fspath(path)}: what this net takes ({type(self).__name__}) is not read from files.")

    def from_line(self, line: str) -> Any:
        """Return one raw input from a line of a file, without its end. Raises SpecError where no line can hold one."""
        raise SpecError(f"--lines: what this net takes ({type(self).__name__}) is not a line of a file.")

    def from_user(self, value: Any) -> Any:
        """Return one raw input from what a user has: the path of a file, or the input in some form.

        It may still be none that `accepts` takes.
        """
        is_path = isinstance(value, os.PathLike) or (isinstance(value, str) and not self.accepts(value))
        return self.read(value) if is_path else value

    def looked_at(self, files: Sequence[str], *, new: bool) -> tuple[Self, list[str]]:
        """Return this input as it suits the files that samples are read from, and what a user has to know of them.

        What one file alone cannot tell is settled so for all of them, before any is read, and saved with the weights.

        files: paths (see `Split`); new: whether they are those of a new run, or else the input stays as it is
        """
        return self, []

    def preview(self, raw: Any) -> str | bytes | None:
        """Return what reports show of a raw input: a text, or the bytes of a picture as a file; None for nothing."""
        return raw if isinstance(raw, str) else None

    def export_description(self, *, prepared: bool) -> str:
        """Return in words what an exported net takes; prepared: whether it begins after the preparation."""
        return described(self.prepared_layout if prepared else self.collated_layout)

    def limitations(self) -> Iterator[str]:
        """Yield sentences on what a net does not see of such an input."""
        yield from ()

    # Inputs that are images, of any sort: what `collate` gives is [B, C, H, W], and pixels have places

    def warp(self, raw: Any) -> Warp | None:
        """Return where the pixels of a raw input go in what `collate` makes of it: a map of one image, [2, 3].

        It is what was done to this very input, and says it for raw pixels as `read` gives them: of an image that a tag
        turns, those of the turned one. None, the default, where inputs have no pixels.
        """
        return None

    def raw_size(self, raw: Any) -> Size:
        """Return height and width of a raw input that has pixels: its last two dimensions, if not overridden."""
        height, width = raw.shape[-2:]
        return height, width

    @classmethod
    def has_pixels(cls) -> bool:
        """Return whether such inputs have pixels: whether there is a `warp` of its own."""
        return cls.warp is not InputSpec.warp

    def fit(self, raw: Any) -> tuple[Any, Warp | None]:
        """Return what `collate` makes of one raw input, without the batch's dimension, and its `warp`."""
        collated: Any = self.collate([raw])
        return collated[0], self.warp(raw)

    def resolution(self, raw: Any) -> float:
        """Return how many times the size a raw input could be prepared at by `enlarged` before it held nothing new."""
        return 1.0

    def enlarged(self, factor: float) -> Self:
        """Return an input that prepares the same part of each image at so many times the size."""
        return self

    @property
    def collated_layout(self) -> Layout | None:
        """What `collate` gives, a layout for each tensor; None where it is not known.

        With it, samples are prepared once and kept (see `Split`'s fingerprint and `cached`), and an exported net takes
        the sizes that differ.
        """
        return None

    @property
    def prepared_layout(self) -> Layout | None:
        """What `Net.features` takes: that of `collate`, if a subclass says nothing else."""
        return self.collated_layout

    def collate_options(self) -> Any:
        """Return the options that what `collate` gives depends on, as JSON values."""
        return self.model_dump(mode="json")

    def changed(self, **fields: Any) -> Self:
        """Return this input with the fields that a spec's `input` overrides; the result is validated again."""
        return type(self).model_validate({**dict(self), **fields})

    def files(self) -> dict[str, str]:
        """Return texts that go with an exported net as files, by name: what JSON does not hold of the input."""
        return {}

    @classmethod
    def restored(cls, saved: Mapping[str, Any], like: Self | None = None) -> Self:
        """Return the input whose fields a checkpoint has saved. Raises FtrunError where it is none of this type.

        like: has the fields that are not saved so (`exclude=True`), as the net was built; their defaults if not given
        """
        excluded = [name for name, field in cls.model_fields.items() if field.exclude]
        kept = {name: getattr(like, name) for name in excluded} if like else {}
        try:
            return cls.model_validate_json(json.dumps({**saved, **kept}))
        except ValueError:
            raise FtrunError("is damaged: its input is not one of this backbone.", where="resolved.json") from None

    @classmethod
    def overrides(cls) -> type[BaseModel]:
        """Return the model of a spec's `input`: the same fields, each of them optional."""
        return _overrides(cls)


@cache
def _overrides(cls: type[InputSpec]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), _optional(field))
        for name, field in cls.model_fields.items()
        if name != "kind" and not field.exclude
    }
    return create_model(f"{cls.__name__}Overrides", __config__=cls.model_config, __doc__=cls.__doc__, **fields)


def _optional(field: Any) -> Any:
    from pydantic import Field

    return Field(default_factory=lambda: None, description=field.description)
