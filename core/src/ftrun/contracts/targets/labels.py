"""Labels: any number of several at once."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ftrun.contracts.printable import cell
from ftrun.contracts.targets.names import twins
from ftrun.contracts.targets.prediction import Prediction
from ftrun.contracts.targets.vector import VectorTarget

if TYPE_CHECKING:
    from torch import Tensor


class Labels(VectorTarget):
    """Any number of several labels at once. Values: float32 [B, L], 1 where the label holds, else 0;
    NaN where that is not known.

    Probabilities are the sigmoids of logits that are divided by `temperature`. A label holds where its probability is
    above its own of `thresholds`, or above 0.5 where there are none.
    """

    is_discrete = True
    calibrated_fields = frozenset({"temperature", "thresholds"})
    absent_means: ClassVar[str] = "their precision, recall and F1 are 0 there, and count in macro metrics"

    kind: Literal["labels"] = "labels"
    names: tuple[str, ...] = Field(min_length=1)
    temperature: float = Field(1.0, gt=0)
    thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Self:
        if self.thresholds and len(self.thresholds) != len(self.names):
            raise ValueError(f"thresholds has {len(self.thresholds)} numbers for {len(self.names)} names")
        return self

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

    def calibrated(self, decoded: "Tensor") -> "Tensor":
        """Return logits that are divided by the temperature."""
        return decoded if self.temperature == 1 else decoded / self.temperature

    def shares(self, decoded: "Tensor") -> "Tensor":
        """Return each label's own probability: sigmoid."""
        return self.calibrated(decoded).sigmoid()

    def decided(self, decoded: "Tensor") -> "Tensor":
        """Return which labels hold, bool [B, L]: those whose logit is above that of their threshold."""
        import torch

        if not self.thresholds:
            return decoded > 0
        bounds = [self.temperature * math.log(each / (1 - each)) for each in self.thresholds]
        return decoded > torch.tensor(bounds, device=decoded.device)

    def made_up(self) -> "tuple[Tensor, Tensor]":
        """Return random logits, and every label now and then."""
        import torch

        outputs = self.random_outputs()
        return outputs, ((torch.arange(len(outputs))[:, None] + torch.arange(self.outputs)) % 3 == 0).float()

    def predictions(self, decoded: "Tensor", *, top: int = 1) -> list[Prediction]:
        """Return each label's probability, the likeliest first; and which hold, where there are thresholds."""
        every, decided = super().predictions(decoded), self.decided(decoded).tolist()
        return [
            Prediction(
                dict(sorted(each.scores.items(), key=lambda pair: -pair[1])),
                tuple(name for name, holds in zip(self.names, row, strict=True) if holds) if self.thresholds else None,
            )
            for each, row in zip(every, decided, strict=True)
        ]

    def texts(self, prediction: Prediction) -> list[str]:
        """Return name and score of each, and whether it holds, where there are thresholds."""
        if prediction.holds is None:
            return super().texts(prediction)
        return [
            f"{name}  {score:.4f}{'  holds' if name in prediction.holds else ''}"
            for name, score in prediction.scores.items()
        ]

    def columns(self, top: int) -> list[str]:
        """Return its names; and `holds`, where there are thresholds."""
        return [*self.names, *(["holds"] if self.thresholds else [])]

    def cells(self, prediction: Prediction) -> list[Any]:
        """Return the scores, in the order of its names; and those that hold, with semicolons between."""
        held = [] if prediction.holds is None else [cell("; ".join(prediction.holds))]
        return [*super().cells(prediction), *held]
