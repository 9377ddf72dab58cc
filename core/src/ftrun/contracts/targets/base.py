"""The role: what every kind of target is and does."""

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ConfigDict

from ftrun.contracts.errors import DataError, SpecError
from ftrun.contracts.geometry import Size, Warp
from ftrun.contracts.part import Part
from ftrun.contracts.targets.prediction import Prediction
from ftrun.contracts.trees import Tree, equal_samples, samples_in, tree_index

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ftrun.contracts.netroles import Head


class Target(Part):
    """A kind of target, such as classes or boxes; a dataset gives instances of it, by the targets' names.

    A subclass says `kind: Literal["its-name"]`, by which a run's files tell it from others, and its fields, which they
    keep. A sample has a value of it, which may be anything; a batch has what `collate` makes of these, a tree (see
    `ftrun.Batch`), called values below, and B is their number. A net gives an output, a tree too. Everything but
    `faults` and `predictions` has a default: for one tensor of the same shape a sample, which none misses.

    extensions: what other plugins can use of this kind, by the names that they document: {"report.section":
        "my_plugin.page:section"}; a module is imported when that is used
    fitted_fields: fields that `fitted` sets: two runs' targets may differ in them and still be the same
    calibrated_fields: fields that `Run.calibrate` sets: likewise; they change what is predicted, not what is learned
    is_discrete: whether equal inputs have to have equal values: others may well be measured twice
    absent_means: what it means for metrics where a split has no sample of a name that `counts` counts
    loss_factor: by which its loss counts where weights are learned ("uncertainty"): 0.5 for a Gaussian likelihood
    """

    # What comes from files is checked strictly all the same; code may give a list of names.
    model_config = ConfigDict(strict=False)

    role = "target"
    tag = "kind"
    extensions: ClassVar[Mapping[str, str]] = {}
    fitted_fields: ClassVar[frozenset[str]] = frozenset()
    calibrated_fields: ClassVar[frozenset[str]] = frozenset()
    is_discrete: ClassVar[bool] = False
    loss_factor: ClassVar[float] = 1.0
    absent_means: ClassVar[str] = "nothing tells how well it is predicted there"

    if TYPE_CHECKING:
        kind: str
        name: str = ""  # it has none: its kind is what tells it from others

    # Values, as a dataset gives them

    @abstractmethod
    def faults(self, values: Tree) -> Iterator[tuple[int, str]]:
        """Yield position and fault of each sample whose value is not of this kind: (3, "has label 7, but ...")."""

    def check(self, values: Tree, where: str, ids: Sequence[int] | None = None) -> None:
        """Raise DataError, with the first sample, where values are not of this kind.

        where: what they are of; ids: the samples' numbers, if they are not 0, 1, ...
        """
        first = next(faults := self.faults(values), None)
        if first is not None:
            position, fault = first
            also = sum(1 for _ in faults)
            rest = f" Samples that are wrong in all: {also + 1:,}." if also else ""
            raise DataError(f"{where}: sample {position if ids is None else ids[position]} {fault}{rest}")

    def collate(self, values: Sequence[Any]) -> Tree:
        """Return a batch of values from those of its samples: stacked, if not overridden."""
        import torch

        return torch.stack([torch.as_tensor(each) for each in values])

    def follow(self, values: Any, warp: Warp) -> Any:
        """Return values once their inputs are moved by a warp, to images of `warp.size`: the same, by default.

        For what lies in an image, such as boxes: values of a sample, with a map [2, 3] from raw pixels, before
        `collate`; then those of a batch, with maps [B, 2, 3].
        """
        return values

    @classmethod
    def follows(cls) -> bool:
        """Return whether values of this kind lie in the input: whether it has its own `follow`."""
        return cls.follow is not Target.follow

    def present(self, values: Tree) -> "Tensor":
        """Return which samples have this target, if only in part: bool [B]. Overridden where one may miss it."""
        import torch

        return torch.ones(samples_in(values), dtype=torch.bool)

    def complete(self, values: Tree) -> "Tensor":
        """Return of which samples all is known: bool [B]."""
        return self.present(values)

    @classmethod
    def may_be_missing(cls) -> bool:
        """Return whether samples may miss a target of this kind: whether it has a `present` of its own."""
        return cls.present is not Target.present

    def same(self, values: Tree, others: Tree) -> "Tensor":
        """Return which samples have the same values in both, or miss the same ones: bool [B]."""
        return equal_samples(values, others)

    def evaluated(self, output: Tree, values: Tree, *, whole: bool) -> tuple[Tree, Tree]:
        """Return output and values of the samples to evaluate: of which something is known or, if `whole`, all."""
        chosen = self.complete(values) if whole else self.present(values)
        return tree_index(output, chosen), tree_index(values, chosen)

    def mixed(self, values: Tree, others: Tree, weight: "Tensor") -> Tree:
        """Return values of samples that are mixed two by two. Raises SpecError for a kind that cannot be mixed.

        weight: what `values` count, 0 to 1, float32 [B] or [1]; `others` count the rest
        """
        raise SpecError(f"targets of the kind {self.kind!r} cannot be mixed.")

    # Where values are a column, known without reading inputs (see `Split.columns`): tensors [N, ...]

    def column_fault(self, values: "Tensor") -> str:
        """Return the type of tensor that a column has to be, or nothing where it is."""
        return ""

    def check_training(self, values: "Tensor", name: str) -> None:
        """Raise DataError where the column of the training split is too little to learn from, as of one class alone."""

    def fitted(self, values: "Tensor") -> Self:
        """Return the target with what it takes from the training column; most take nothing."""
        return self

    def notes(self, values: "Tensor") -> Iterator[str]:
        """Return what a user has to know of the training column before anything else is done with the data."""
        yield from ()

    def remarks(self, values: "Tensor") -> Iterator[str]:
        """Return what makes metrics mean less than they seem to, from the training column."""
        yield from ()

    def strata(self, values: "Tensor") -> "Tensor | None":
        """Return int64 [N], whose proportions a val that is cut from train keeps; None where there are none."""
        return None

    def members(self, values: "Tensor") -> "tuple[Tensor, Tensor] | None":
        """Return samples and the classes that they are in, int64 [M] both, each of which is to be in train and val."""
        return None

    def counts(self, values: "Tensor") -> list[int] | None:
        """Return how many samples have each of `names_in_use`; None where that means nothing."""
        return None

    def class_counts(self, values: "Tensor") -> dict[str, int] | None:
        """Return what resolved.json keeps of the training column, for `values_of` to make one again from."""
        return None

    def values_of(self, counts: Mapping[str, int]) -> "Tensor | None":
        """Return a training column with these counts, in any order: what a loss is built from in an opened run."""
        return None

    # Names, and other data in this target's terms

    def names_in_use(self) -> tuple[str, ...]:
        """Return the names of what it predicts, by which it is matched with other data; they have to be distinct."""
        return ()

    @property
    def names_may_lack(self) -> bool:
        """Whether other data that lacks some of the names is as good: as of classes, of which each sample has one."""
        return False

    def renamed(self, names: Sequence[str]) -> Self:
        """Return the same with other names, in the order of `names_in_use`."""
        return self

    def aligned(self, values: Tree, names: Sequence[str]) -> Tree:
        """Return values of a target with these names, in another order and perhaps more, in the terms of this one.

        values: a column, or the value of one sample where it is none
        """
        return values

    def aligned_outputs(self, outputs: Tree, names: Sequence[str]) -> Tree:
        """Return decoded outputs of a target with these names, in another order, in the order of this one."""
        return outputs

    def identity(self) -> dict[str, Any]:
        """Return what makes it the same target as another one, as JSON values: without what is fitted to samples."""
        return self.model_dump(mode="json", exclude={*self.fitted_fields, *self.calibrated_fields})

    def learned(self) -> dict[str, Any]:
        """Return what a net that learned it depends on, as JSON values: without what may be fitted afterwards."""
        return self.model_dump(mode="json", exclude=set(self.calibrated_fields))

    # The terms that the net learns it in

    def default_head(self) -> "Head":
        """Return the head that a net gets for this target where the spec names none: a linear layer on the embedding.

        Raises SpecError for a kind without `outputs`, the number of values that a head gives for one sample.
        """
        from ftrun.contracts.netroles import LinearHead

        if not isinstance(getattr(self, "outputs", None), int):
            raise SpecError(f"{self.kind} have no head of their own. Name one.", where="head")
        return LinearHead(name="linear")

    def encode(self, values: Tree) -> Tree:
        """Return values in the terms that the head learns them in: what a loss compares its output with."""
        return values

    def filled(self, output: Tree, values: Tree) -> tuple[Tree, Tree]:
        """Return the head's output and encoded values, where single ones are missing with a right answer.

        A loss is about 0 in such places, and no gradient comes from them.
        """
        return output, values

    def decode(self, output: Tree) -> Tree:
        """Return what metrics, predictions and exports see of the head's output, its floats in float32."""
        return output

    def decoding_device(self, device: "torch.device") -> "torch.device":
        """Return where `decode` leaves what a net on `device` gives."""
        return device

    def exported(self, output: Tree) -> Tree:
        """Return what a file gives for the head's output, by tensor operations alone: a tensor, or several by name."""
        return self.decode(output)

    def calibrated(self, decoded: Tree) -> Tree:
        """Return decoded outputs as they were calibrated after training; most kinds never are."""
        return decoded

    def decided(self, decoded: Tree) -> "Tensor | None":
        """Return which of its names hold, bool [B, names]; None for a kind that does not decide of each by itself."""
        return None

    def made_up(self) -> tuple[Tree, Tree] | None:
        """Return decoded outputs and values of a few made-up samples, always the same, to try metrics on; or None."""
        return None

    # What is predicted

    def to_raw(self, decoded: Tree, warp: Warp, sizes: Sequence[Size]) -> Any:
        """Return decoded outputs in pixels of the raw inputs, as `predictions` takes them: where it `follows`.

        warp: the maps to them, [B, 2, 3]; sizes: height and width of each of them
        """
        raise NotImplementedError(f"{type(self).__name__} has follow(), but no to_raw(), to bring predictions back")

    @abstractmethod
    def predictions(self, decoded: Tree, *, top: int = 1) -> list[Prediction]:
        """Return a prediction for each sample, JSON-ready, in the terms of the user's own input.

        top: how many of the likeliest answers to give, where there are some that exclude each other
        """

    def texts(self, prediction: Prediction) -> list[str]:
        """Return a prediction for people: cells of a line."""
        return [json.dumps(prediction.value, ensure_ascii=False)]

    def columns(self, top: int) -> list[str]:
        """Return the columns of a table of predictions."""
        return ["prediction"]

    def cells(self, prediction: Prediction) -> list[Any]:
        """Return a row of such a table: a cell for each column."""
        return [json.dumps(prediction.value, ensure_ascii=False)]

    def is_one_value(self, name: str) -> bool:
        """Return whether a target of this name is one number of the same name, which need not be named twice."""
        return False

    def pack(self, decoded: Tree, values: Tree) -> tuple[Tree, Tree] | None:
        """Return what predictions/ keeps of each sample: decoded outputs and values, perhaps smaller; None for nothing.

        What is kept of values is a tree that `present` and `same` take.
        """
        return None

    def check_packed(self, outputs: Tree | None, values: Tree | None, where: str) -> None:
        """Raise DataError where what was read back is nothing that `pack` gives; None where nothing was kept."""

    # What other plugins use of it

    @classmethod
    def extension(cls, name: str) -> Any:
        """Return what this kind brings for another plugin, imported now; None where it brings nothing."""
        if name not in cls.extensions:
            return None
        module, _, attribute = cls.extensions[name].partition(":")
        return getattr(import_module(module), attribute)
