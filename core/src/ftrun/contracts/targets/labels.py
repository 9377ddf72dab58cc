"""Labels: any number of several at once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ftrun.contracts.targets.names import twins
from ftrun.contracts.targets.prediction import Prediction
from ftrun.contracts.targets.vector import VectorTarget

if TYPE_CHECKING:
    from torch import Tensor


class Labels(VectorTarget):
    """Any number of several labels at once. Values: float32 [B, L], 1 where the label holds, else 0;
    NaN where that is not known."""

    is_discrete = True
    absent_means: ClassVar[str] = "their precision, recall and F1 are 0 there, and count in macro metrics"

    kind: Literal["labels"] = "labels"
    names: tuple[str, ...] = Field(min_length=1)

    def faults(self, values: "Tensor") -> Iterator[tuple[int, str]]:
        """Yield the samples with another number of values than names, or a value that is neither 0, 1 nor NaN."""
        yield from (shape := list(self.wrong_width(values)))
        if not shape:
            wrong = ((values != 0) & (values != 1) & ~values.isnan()).flatten(1).any(1).nonzero()
            yield from ((int(sample), "has labels other than 0 and 1.") for sample in wrong)

    def remarks(self, values: "Tensor") -> Iterator[str]:
        """Return which names look alike, and which labels all samples have, or none."""
        counts = self.counts(values)
        yield from twins(self.names, counts)
        for name, count, known in zip(self.names, counts, self.known(values).sum(0).tolist(), strict=True):
            if count in (0, known):
                some = "every" if count else "no"
                yield f"{some} training sample has label {name!r}: there is nothing to learn of it"

    def members(self, values: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return each sample with each of its labels."""
        samples, labels = (values == 1).nonzero().unbind(1)
        return samples, labels

    def counts(self, values: "Tensor") -> list[int]:
        """Return how many samples have each label."""
        return [int(count) for count in (values == 1).sum(0).tolist()]

    def filled(self, output: "Tensor", values: "Tensor") -> "tuple[Tensor, Tensor]":
        """Fill in, for a label that is not known, that it does not hold, with an output that is very sure of that."""
        known = self.known(values)
        return output.where(known, -100.0), values.where(known, 0.0)

    def shares(self, decoded: "Tensor") -> "Tensor":
        """Return each label's own probability: sigmoid."""
        return decoded.sigmoid()

    def made_up(self) -> "tuple[Tensor, Tensor]":
        """Return random logits, and every label now and then."""
        import torch

        outputs = self.random_outputs()
        return outputs, ((torch.arange(len(outputs))[:, None] + torch.arange(self.outputs)) % 3 == 0).float()

    def predictions(self, decoded: "Tensor", *, top: int = 1) -> list[Prediction]:
        """Return each label's probability, the likeliest first."""
        every = super().predictions(decoded)
        return [Prediction(dict(sorted(each.scores.items(), key=lambda pair: -pair[1]))) for each in every]
