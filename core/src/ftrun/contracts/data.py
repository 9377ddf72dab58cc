"""What a dataset gives: splits of raw samples, and their targets."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ftrun.contracts.errors import DataError
from ftrun.contracts.printable import printable
from ftrun.contracts.targets import Target
from ftrun.contracts.trees import Tree, moved, pinned, tree_index, tree_split

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Sample: TypeAlias = tuple[Any, Mapping[str, Any]]


@dataclass(frozen=True)
class Batch:
    """Some samples on their way through the net: trees, whose leaves are tensors [B, ...] or Raggeds of B samples.

    inputs: what `InputSpec.collate` gave, a tensor or a mapping of tensors
    targets: by target's name, what `Target.collate` gave
    ids: int64 [B], each sample's index in its split
    embedded: whether the inputs are embeddings, which only the head has to see
    extra: what augmentations and objectives hand on besides, by name
    """

    inputs: Tree
    targets: Mapping[str, Tree]
    ids: "Tensor"
    embedded: bool = False
    extra: Mapping[str, Tree] = field(default_factory=dict)

    def to(self, device: "torch.device") -> "Batch":
        """Return this batch on `device`; the copy overlaps with computing where the memory is pinned.

        What is in float64 stays where it is if the device has none.
        """
        return self._with(lambda tree: moved(tree, device))

    def pin_memory(self) -> "Batch":
        """Return this batch in pinned memory (torch's DataLoader calls it by this name)."""
        return self._with(pinned)

    def index(self, chosen: "Tensor") -> "Batch":
        """Return some of the samples. chosen: bool [B], or their positions in the batch, int64 [M]."""
        return self._with(lambda tree: tree_index(tree, chosen))

    @property
    def views(self) -> tuple[Tree, ...]:
        """The inputs, and other augmented views of the same samples where an objective takes some."""
        return (self.inputs, *self.extra.get("views", ()))

    def __len__(self) -> int:
        return self.ids.size(0)  # a step asks often, and len() of a tensor takes ten times as long

    def parts(self, size: int | None) -> "list[Batch]":
        """Return this batch in parts of nearly equal length, at most `size` samples each; whole if not given."""
        count = -(-len(self) // size) if size else 1
        if count <= 1:
            return [self]
        ends = [len(self) * part // count for part in range(count + 1)]
        return self.split([end - start for start, end in pairwise(ends)])

    def split(self, lengths: Sequence[int]) -> "list[Batch]":
        """Return this batch in parts of these lengths, nothing copied."""
        inputs, targets, ids = (tree_split(each, lengths) for each in (self.inputs, self.targets, self.ids))
        extras = tree_split(self.extra, lengths) if self.extra else [self.extra] * len(lengths)
        parts = zip(inputs, targets, ids, extras, strict=True)
        return [Batch(inputs, targets, ids, self.embedded, extra) for inputs, targets, ids, extra in parts]

    def _with(self, change: Callable[[Tree], Tree]) -> "Batch":
        inputs, targets, ids = (change(each) for each in (self.inputs, self.targets, self.ids))
        return Batch(inputs, targets, ids, self.embedded, change(self.extra) if self.extra else self.extra)


class Split(Protocol):
    """One split: a map-style dataset in torch's sense.

    `split[i]` is (raw input, {target's name: value}); the raw input is what `InputSpec.collate` takes, neither
    normalised nor augmented, and a value is what the target's kind says. A split may have more:

    columns: {target's name: tensor [N, ...]}, the values of targets that are known without reading an input; a target
        need not be there. Splits are stratified, losses weighted and data checked by them, before training.
    values(index): the second half of `split[index]` without its input: where inputs are decoded once and kept, a target
        that is no column is read by it; without it, such a split is read anew in each epoch
    __getitems__(indices): torch's own protocol; a list of samples or, faster, a whole batch at once: (raw inputs,
        {target's name: what the target's `collate` gives})
    fingerprint: a str that is another one whenever its inputs or their order are, wherever they lie (None where that is
        unknown): then they are decoded once, and shared by runs
    lengths: int64 [N], where inputs differ in length and are padded: batches are then of similar length
    digests: int64 [N], equal for equal inputs and hardly ever for others: by them the core says how many test samples
        are in train too, also where inputs are neither in memory nor in the cache
    files: the path of each sample's file, where inputs are read from files by the `read` of an InputSpec
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def columns_of(split: Split) -> "Mapping[str, Tensor]":
    """Return the columns of a split; none where it has none."""
    columns: Mapping[str, Tensor] = getattr(split, "columns", {})
    return columns


def files_of(split: Split) -> Sequence[str]:
    """Return the path of the file of each sample; nothing where a split does not read inputs from files, or say so."""
    if isinstance(split, Subset):
        whole = files_of(split.split)
        return [whole[index] for index in split.indices.tolist()] if whole else ()
    files: Sequence[str] = getattr(split, "files", ())
    return files


def reads_values(split: Split, targets: Iterable[str]) -> bool:
    """Return whether the values of all these targets can be had without reading inputs."""
    return hasattr(split, "values") or all(name in columns_of(split) for name in targets)


def values_at(split: Split, index: int) -> Mapping[str, Any]:
    """Return the values of a sample's targets; its input is read only where there is no other way."""
    values: Callable[[int], Mapping[str, Any]] | None = getattr(split, "values", None)
    return values(index) if values else split[index][1]


@dataclass(frozen=True)
class Splits:
    """A dataset's splits. Without `val` the core cuts one from `train`; without `test` nothing is tested.

    train: what is learnt from; None in data that a trained net is evaluated on, if it has none
    targets: what each target is, in all splits alike: classes are aligned by name, never by position; none where
        nothing is known of the samples but their inputs
    notes: what a user has to know of this data, such as what was left out of it and how much (see `counted`): a
        sentence each, in one line. It is shown before training, and kept in resolved.json.
    all: every sample of data that does not come in splits, from `Dataset.evaluation`; the other splits are None then
    """

    train: Split | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    val: Split | None = None
    test: Split | None = None
    notes: Sequence[str] = ()
    all: Split | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(printable(note) for note in self.notes))  # names of files are in them

    def items(self) -> "list[tuple[str, Split]]":
        """Return the splits by name, in the order train, val, test; or all, of data without splits."""
        every = (("train", self.train), ("val", self.val), ("test", self.test), ("all", self.all))
        return [(name, split) for name, split in every if split is not None]

    @property
    def training(self) -> Split:
        """The split `train`. Raises DataError where there is none."""
        if self.train is None:
            raise DataError("the data has no train split, so there is nothing to learn from.")
        return self.train

    def columns(self, name: str) -> "dict[str, Tensor]":
        """Return a target's column [N, ...] in each split that has it, by the split's name."""
        return {split_name: columns_of(split)[name] for split_name, split in self.items() if name in columns_of(split)}

    @property
    def files(self) -> list[str]:
        """The paths of the files that samples are read from, as far as the splits say so."""
        return [path for _, split in self.items() for path in files_of(split)]

    def with_targets(self, targets: Mapping[str, Target]) -> "Splits":
        """Return the same dataset with other descriptions of its targets."""
        return replace(self, targets=targets)

    def with_splits(self, splits: Mapping[str, Split]) -> "Splits":
        """Return the same dataset with these splits, by name, and no others."""
        return replace(self, **{"train": None, "val": None, "test": None, "all": None, **splits})  # type: ignore[arg-type]

    def with_notes(self, *notes: str) -> "Splits":
        """Return the same dataset with more notes."""
        return replace(self, notes=(*self.notes, *notes))


class TensorSplit:
    """A split that lies in memory as tensors: the quickest there is.

    inputs: raw inputs, [N, ...]; columns: {target's name: [N, ...]}
    """

    in_memory = True  # no workers are needed to read it

    def __init__(self, inputs: "Tensor", columns: "Mapping[str, Tensor] | None" = None) -> None:
        for name, values in (columns or {}).items():
            if len(values) != len(inputs):
                raise ValueError(f"{len(inputs)} inputs, but {len(values)} values of target {name!r}")
        self.inputs = inputs
        self.columns = dict(columns or {})

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int, /) -> Sample:
        return self.inputs[index], self.values(index)

    def values(self, index: int) -> "dict[str, Tensor]":
        """Return a sample's values."""
        return {name: values[index] for name, values in self.columns.items()}

    def __getitems__(self, indices: Sequence[int]) -> "tuple[Tensor, dict[str, Tensor]]":
        chosen = index_tensor(indices).to(self.inputs.device)
        return self.inputs.index_select(0, chosen), {
            name: values.index_select(0, chosen) for name, values in self.columns.items()
        }


class Subset:
    """The samples of `split` at `indices` (int64 [M]), in that order. It holds none of them, nor of their values."""

    def __init__(self, split: Split, indices: "Tensor") -> None:
        self.split = split
        self.indices = indices
        self.in_memory = getattr(split, "in_memory", False)
        self.collated = getattr(split, "collated", False)
        self.has_warps = getattr(split, "has_warps", False)
        lengths, digests = getattr(split, "lengths", None), getattr(split, "digests", None)
        self.lengths = None if lengths is None else lengths[indices]
        self.digests = None if digests is None else digests[indices]
        if hasattr(split, "values"):
            self.values = self._values

    @property
    def columns(self) -> "Mapping[str, Tensor]":
        """The columns of the whole split at these samples, each taken out of it when it is asked for."""
        return _Chosen(columns_of(self.split), self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Sample:
        return self.split[int(self.indices[index])]

    def _values(self, index: int) -> Mapping[str, Any]:
        return values_at(self.split, int(self.indices[index]))

    def sample_name(self, index: int) -> str | None:
        """Return what that sample is called in the whole split."""
        return sample_name(self.split, int(self.indices[index]))

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return get_items(self.split, self.indices[index_tensor(indices)].tolist())

    def warps(self, indices: Sequence[int]) -> "Tensor":
        """Return where raw pixels of samples went that are collated already, float64 [B, 2, 3]."""
        warps: Tensor = self.split.warps(self.indices[index_tensor(indices)].tolist())  # type: ignore[attr-defined]
        return warps


class _Chosen(Mapping[str, "Tensor"]):
    """Some rows of columns, copied only when they are asked for."""

    def __init__(self, columns: "Mapping[str, Tensor]", indices: "Tensor") -> None:
        self._columns = columns
        self._indices = indices

    def __getitem__(self, name: str) -> "Tensor":
        return self._columns[name][self._indices]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def sample_name(split: Split, index: int) -> str | None:
    """Return what people call a sample, a file's name say, if the split has names."""
    named = getattr(split, "sample_name", None)
    return named(index) if named else None


def index_tensor(indices: Sequence[int]) -> "Tensor":
    """Return indices as int64 [N]; torch's own way takes five times as long of a list."""
    import torch

    return torch.frombuffer(array("q", indices), dtype=torch.int64) if len(indices) else torch.empty(0).long()


def get_items(split: Split, indices: Sequence[int]) -> Any:
    """Return a list of samples or, where the split offers it, a whole batch at once."""
    whole_batch = getattr(split, "__getitems__", None)
    return whole_batch(indices) if whole_batch else [split[index] for index in indices]
