"""What kinds share that are one number, or one row of numbers, a sample."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from ftrun.contracts.errors import DataError
from ftrun.contracts.targets.base import Target
from ftrun.contracts.targets.prediction import Prediction

if TYPE_CHECKING:
    from torch import Tensor


_FEW, _MOST = 24, 1000  # samples that are made up; more than these would take long


class VectorTarget(Target):
    """A target with names: values are a tensor [B] or [B, names], a net's output is a tensor [B, names]."""

    if TYPE_CHECKING:
        names: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """Number of values that the net's head gives for one sample."""
        return len(self.names)

    def names_in_use(self) -> tuple[str, ...]:
        """Return its names."""
        return self.names

    def renamed(self, names: Sequence[str]) -> Self:
        """Return the same with other names."""
        return self.model_copy(update={"names": tuple(names)})

    def known(self, values: "Tensor") -> "Tensor":
        """Return which values are known, bool of their shape; the others are NaN."""
        return ~values.isnan()

    def present(self, values: "Tensor") -> "Tensor":
        """Return which samples have this target, if only in part: bool [B]."""
        return _rows(self.known(values)).any(1)

    def complete(self, values: "Tensor") -> "Tensor":
        """Return of which samples all is known: bool [B]."""
        return _rows(self.known(values)).all(1)

    def mixed(self, values: "Tensor", others: "Tensor", weight: "Tensor") -> "Tensor":
        """Return the weighted means; what one of the two misses is missing."""
        weight = weight[:, None].to(values.dtype)
        return values * weight + others * (1 - weight)

    def same(self, values: "Tensor", others: "Tensor") -> "Tensor":
        """Return which samples have the same values in both, or miss the same ones: bool [B]."""
        return _rows((values == others) | ~(self.known(values) | self.known(others))).all(1)

    def column_fault(self, values: "Tensor") -> str:
        """Return that it has to be of floating-point numbers, where it is not."""
        return "" if values.is_floating_point() else "a tensor float32 [N, values]"

    def check_training(self, values: "Tensor", name: str) -> None:
        """Raise DataError where one of its names is known of no sample."""
        without_samples(f"target {name!r}: no training sample has", self.names, self.known(values).any(0).tolist())

    def aligned(self, values: "Tensor", names: Sequence[str]) -> "Tensor":
        """Return values of a target with these names, in another order and perhaps more, in the order of this one."""
        return values[..., [list(names).index(name) for name in self.names]]

    def aligned_outputs(self, outputs: "Tensor", names: Sequence[str]) -> "Tensor":
        """Return decoded outputs in the order of this target's names."""
        return outputs[:, [list(names).index(name) for name in self.names]]

    def scores(self, output: "Tensor") -> "Tensor":
        """Return what a prediction tells, from the head's output [B, outputs]: probabilities, or values."""
        return self.shares(self.decode(output))

    def shares(self, decoded: "Tensor") -> "Tensor":
        """Return the same from what `decode` gave."""
        return decoded

    def exported(self, output: "Tensor") -> "Tensor":
        """Return the scores as a file of another format has them: in float32, unless that is too little."""
        return self.scores(output.float())

    def predictions(self, decoded: "Tensor", *, top: int = 1) -> list[Prediction]:
        """Return each name's score."""
        return [Prediction(dict(zip(self.names, row, strict=True))) for row in self.shares(decoded).tolist()]

    def texts(self, prediction: Prediction) -> list[str]:
        """Return name and score of each."""
        return [f"{name}  {score:.4f}" for name, score in prediction.scores.items()]

    def columns(self, top: int) -> list[str]:
        """Return its names."""
        return list(self.names)

    def cells(self, prediction: Prediction) -> list[Any]:
        """Return the scores, in the order of its names."""
        return [prediction.scores[name] for name in self.names]

    def pack(self, decoded: "Tensor", values: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return both as they are."""
        return decoded, values

    def check_packed(self, outputs: Any, values: Any, where: str) -> None:
        """Raise DataError where outputs are none, or of another number, or values are not of this kind."""
        if outputs is None or values is None or outputs.ndim != 2 or outputs.shape[1] != self.outputs:
            raise DataError(f"{where}: has no outputs [samples, {self.outputs}].")
        self.check(values, where)

    def random_outputs(self) -> "Tensor":
        """Return made-up outputs, always the same: of a few samples; of more where there are more outputs."""
        import torch

        count = min(max(_FEW, 2 * self.outputs), _MOST)
        return torch.randn(count, self.outputs, generator=torch.Generator().manual_seed(0))

    def wrong_width(self, values: "Tensor") -> Iterator[tuple[int, str]]:
        """Yield a fault where a row has another length than `names`."""
        if list(values.shape)[1:] != [len(self.names)]:
            yield 0, f"has values of shape {list(values.shape)[1:]}, but [{len(self.names)}] is needed."


def without_samples(what: str, names: Sequence[str], found: Sequence[bool]) -> None:
    """Raise DataError for the names of which nothing was found. what: how the message begins."""
    from ftrun.contracts.printable import shortlist

    empty = [name for name, some in zip(names, found, strict=True) if not some]
    if empty:
        listed = shortlist([repr(each) for each in empty], most=5)
        raise DataError(f"{what} {listed}. Add some, or take {'it' if len(empty) == 1 else 'them'} out.")


def _rows(each: "Tensor") -> "Tensor":  # [B, ...] as [B, N]
    return each.flatten(1) if each.ndim > 1 else each[:, None]
