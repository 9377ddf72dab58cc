"""Classes: exactly one of several."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ftrun.contracts.errors import DataError
from ftrun.contracts.printable import cell
from ftrun.contracts.targets.names import twins
from ftrun.contracts.targets.prediction import Prediction
from ftrun.contracts.targets.vector import VectorTarget, without_samples

if TYPE_CHECKING:
    from torch import Tensor


class Classes(VectorTarget):
    """Exactly one of several classes. Values: int64 [B], positions in `names`; -1 where a sample has none.

    In training, augmentations of batches may make float32 [B, K] of them, each class's share; NaN where a sample has
    none.

    Probabilities are the softmax of logits that are divided by `temperature`.
    """

    is_discrete = True
    calibrated_fields = frozenset({"temperature"})
    absent_means: ClassVar[str] = "macro metrics are means over the classes that occur there or are predicted"

    kind: Literal["classes"] = "classes"
    names: tuple[str, ...] = Field(min_length=1)
    temperature: float = Field(1.0, gt=0)

    def known(self, values: "Tensor") -> "Tensor":
        """Return which samples have a class: bool [B], or [B, K] of shares."""
        return ~values.isnan() if values.is_floating_point() else values >= 0

    def mixed(self, values: "Tensor", others: "Tensor", weight: "Tensor") -> "Tensor":
        """Return each class's share, float32 [B, K]."""
        return super().mixed(self.in_shares(values), self.in_shares(others), weight)

    def in_shares(self, values: "Tensor") -> "Tensor":
        """Return float32 [B, K]: 1 for a sample's class and 0 for others; NaN where it has none."""
        from torch.nn import functional as F

        if values.is_floating_point():
            return values
        known = self.known(values)
        return F.one_hot(values.where(known, 0), self.outputs).float().masked_fill(~known[:, None], float("nan"))

    def faults(self, values: "Tensor") -> Iterator[tuple[int, str]]:
        """Yield the samples whose value is neither a position in `names` nor -1."""
        wrong = ((values < -1) | (values >= len(self.names))).nonzero()
        for sample in wrong.flatten().tolist():
            yield (
                sample,
                f"has label {int(values[sample])}, but there are {len(self.names)} classes, "
                f"so labels go from 0 to {len(self.names) - 1} (-1 where there is none).",
            )

    def column_fault(self, values: "Tensor") -> str:
        """Return that it has to be of whole numbers, one a sample, where it is not."""
        import torch

        return "" if values.dtype == torch.int64 and values.ndim == 1 else "a tensor int64 [N]"

    def check_training(self, values: "Tensor", name: str) -> None:
        """Raise DataError where a class has no sample, or there is only one class."""
        if self.outputs == 1:
            raise DataError(
                f"target {name!r} has one class only, {self.names[0]!r}: there is nothing to tell it from. Add "
                "samples of another class, or take another target."
            )
        without_samples("no training sample of class", self.names, [count > 0 for count in self.counts(values)])

    def remarks(self, values: "Tensor") -> Iterator[str]:
        """Return which names look alike."""
        yield from twins(self.names, self.counts(values))

    def strata(self, values: "Tensor") -> "Tensor":
        """Return the classes."""
        return values

    def members(self, values: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return the samples that have a class, and it."""
        samples = self.present(values).nonzero().flatten()
        return samples, values[samples]

    def counts(self, values: "Tensor") -> list[int]:
        """Return how many samples have each class."""
        counts: list[int] = values[self.known(values)].bincount(minlength=self.outputs).tolist()
        return counts

    def class_counts(self, values: "Tensor") -> dict[str, int]:
        """Return the same by name: what a loss may weigh classes by."""
        return dict(zip(self.names, self.counts(values), strict=True))

    def values_of(self, counts: Mapping[str, int]) -> "Tensor":
        """Return int64 [N], the classes in their order."""
        import torch

        return torch.arange(self.outputs).repeat_interleave(torch.tensor([counts[each] for each in self.names]))

    @property
    def names_may_lack(self) -> bool:
        """Whether other data may have fewer classes: it may."""
        return True

    def aligned(self, values: "Tensor", names: Sequence[str]) -> "Tensor":
        """Return positions in this target's names, int64 [N], from positions in `names`; -1 of one it does not know."""
        import torch

        known = {name: position for position, name in enumerate(self.names)}
        positions = torch.tensor([*(known.get(name, -1) for name in names), -1])
        return positions[values]  # -1, no class, is the last one

    def calibrated(self, decoded: "Tensor") -> "Tensor":
        """Return logits that are divided by the temperature."""
        return decoded if self.temperature == 1 else decoded / self.temperature

    def shares(self, decoded: "Tensor") -> "Tensor":
        """Return probabilities that sum to 1: softmax."""
        return self.calibrated(decoded).softmax(1)

    def made_up(self) -> "tuple[Tensor, Tensor]":
        """Return random logits, and each class in turn."""
        import torch

        outputs = self.random_outputs()
        return outputs, torch.arange(len(outputs)) % self.outputs

    def predictions(self, decoded: "Tensor", *, top: int = 1) -> list[Prediction]:
        """Return the probabilities of the likeliest classes, the likeliest first."""
        best = self.shares(decoded).topk(min(top, self.outputs))
        return [
            Prediction({self.names[index]: value for index, value in zip(indices, values, strict=True)})
            for indices, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def columns(self, top: int) -> list[str]:
        """Return `class`, `probability`, `class_2`, ..."""
        numbers = ["", *(f"_{number}" for number in range(2, min(top, self.outputs) + 1))]
        return [column + number for number in numbers for column in ("class", "probability")]

    def cells(self, prediction: Prediction) -> list[Any]:
        """Return the likeliest classes, each with its probability."""
        return list(chain.from_iterable((cell(name), score) for name, score in prediction.scores.items()))
