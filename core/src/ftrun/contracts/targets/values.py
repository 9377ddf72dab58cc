"""Values: real numbers."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from ftrun.contracts.targets.prediction import Prediction
from ftrun.contracts.targets.vector import VectorTarget

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_LARGEST = 1e150
"""Of values: their squares are finite numbers too."""
_COARSE = 1e-3
"""Steps between numbers, in standard deviations, from which a user is told of them."""
_FLOAT32_KEEPS = 1000
"""Standard deviations that values may be away from 0 for float32 to tell them apart to 1e-4 of one."""


class Values(VectorTarget):
    """One or more real numbers. Values: float64 or float32 [B, V]; NaN where a sample has none.

    A net learns them standardised, by the mean and standard deviation of the training samples, or of what the dataset
    says, and gives them as they are. Means are subtracted in float64: what is far from 0 keeps its digits, if the
    dataset gives it in float64.
    """

    fitted_fields = frozenset({"mean", "std"})
    loss_factor = 0.5

    kind: Literal["values"] = "values"
    names: tuple[str, ...] = ("value",)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _mean_and_std_fit(self) -> Self:
        if bool(self.mean) != bool(self.std):
            raise ValueError("mean and std go together: give both, or neither to have them taken from train")
        for what, numbers in (("mean", self.mean), ("std", self.std)):
            if numbers and len(numbers) != len(self.names):
                raise ValueError(f"{what} has {len(numbers)} numbers for {len(self.names)} names")
        if not all(each > 0 for each in self.std):
            raise ValueError("std has to be greater than 0")
        return self

    def fitted(self, values: "Tensor") -> "Values":
        """Return the same with the mean and standard deviation [V] of training values [N, V]; a constant has 1.

        What a dataset has given itself stays. Sums are exact (`math.fsum`), so the numbers depend neither on threads
        nor on the processor.
        """
        if self.mean:
            return self
        mean, std = zip(*(_mean_and_std(column[~column.isnan()]) for column in values.double().unbind(1)), strict=True)
        return self.model_copy(update={"mean": mean, "std": std})

    def notes(self, values: "Tensor") -> Iterator[str]:
        """Return which values lie so far from 0 that their type cannot tell them apart well: digits are lost before."""
        import torch

        precision = torch.finfo(values.dtype).eps if values.is_floating_point() else 0.0
        for name, std, column in zip(self.names, self.std, values.unbind(1), strict=True):
            largest = float(column.nan_to_num().abs().max())
            if precision * largest > _COARSE * std:
                kind, other = str(values.dtype).removeprefix("torch."), ", or give float64" if precision > 1e-10 else ""
                yield (
                    f"{name!r} is as large as {largest:.10g}, where {kind} has steps of {precision * largest:.2g}: "
                    f"what differs by less is lost. Subtract what all have in common{other}"
                )

    def remarks(self, values: "Tensor") -> Iterator[str]:
        """Return which values are the same in all samples."""
        for name, column, known in zip(self.names, values.unbind(1), self.known(values).unbind(1), strict=True):
            column = column[known]
            if len(column) and (column == column[0]).all():
                yield f"{name!r} is {column[0]:g} in every training sample: there is nothing to learn"

    def collate(self, values: Sequence[Any]) -> "Tensor":
        """Return them stacked; plain numbers keep their digits, in float64."""
        import torch

        return torch.stack(
            [each if isinstance(each, torch.Tensor) else torch.tensor(each, dtype=torch.float64) for each in values]
        )

    def encode(self, values: "Tensor") -> "Tensor":
        """Return values [B, V] with mean 0 and standard deviation 1, float32."""
        if not self.mean:
            return values.float()
        mean, std = _constants(self.mean, self.std, values.device, "float64")
        return ((values.double() - mean) / std).float()

    def filled(self, output: "Tensor", values: "Tensor") -> "tuple[Tensor, Tensor]":
        """Fill in 0 for both where a value is not known."""
        known = self.known(values)
        return output.where(known, 0.0), values.where(known, 0.0)

    def decode(self, output: "Tensor") -> "Tensor":
        """Return values in the dataset's own terms, float64 [B, V], from standardised ones.

        They are on the output's device or, where that has no float64, on the CPU.
        """
        return self._unscaled(output.to(self.decoding_device(output.device)).double())

    def decoding_device(self, device: "torch.device") -> "torch.device":
        """Return the CPU, where the device has no float64."""
        import torch

        return torch.device("cpu") if device.type == "mps" else device

    def exported(self, output: "Tensor") -> "Tensor":
        """Return values as `decode` has them, in float32 where that tells them apart."""
        return self._unscaled(output.double() if self.needs_float64 else output.float())

    def shown(self, values: Sequence[float]) -> list[str]:
        """Return values [V] for people: to a hundredth of their standard deviation, a dash where one is not known."""
        return [_shown(value, std) for value, std in zip(values, self.std or [1.0] * len(values), strict=True)]

    def made_up(self) -> "tuple[Tensor, Tensor]":
        """Return random values, and some from -1 to 1."""
        import torch

        outputs = self.random_outputs()
        return outputs, torch.linspace(-1, 1, len(outputs))[:, None].repeat(1, self.outputs)

    def texts(self, prediction: Prediction) -> list[str]:
        """Return name and value of each, to a hundredth of its deviation."""
        scores = prediction.scores
        return ["  ".join(pair) for pair in zip(scores, self.shown(list(scores.values())), strict=True)]

    def is_one_value(self, name: str) -> bool:
        """Return whether it is one value of that name."""
        return self.names == (name,)

    @property
    def needs_float64(self) -> bool:
        """Whether the values lie so far from 0, or are so large or small, that float32 loses what is learnt of them."""
        return any(
            abs(mean) > _FLOAT32_KEEPS * std or not 1e-30 < std < 1e30
            for mean, std in zip(self.mean, self.std, strict=True)
        )

    def _unscaled(self, output: "Tensor") -> "Tensor":
        if not self.mean:
            return output
        mean, std = _constants(self.mean, self.std, output.device, str(output.dtype).removeprefix("torch."))
        return output * std + mean

    def faults(self, values: "Tensor") -> Iterator[tuple[int, str]]:
        """Yield the samples with another number of values than names, or a value that is infinite, or nearly."""
        yield from (shape := list(self.wrong_width(values)))
        if not shape:
            wrong = (values.double().abs() > _LARGEST).flatten(1).any(1).nonzero()
            yield from ((int(sample), f"has a value that is not finite, or beyond {_LARGEST:g}.") for sample in wrong)


def _mean_and_std(values: "Tensor") -> tuple[float, float]:
    """Return both for float64 [N]; a constant's deviation is 1, and so is that of nothing, whose mean is 0."""
    numbers = values.tolist()
    if not numbers:
        return 0.0, 1.0
    mean = math.fsum(numbers) / len(numbers)
    if min(numbers) == max(numbers):
        return numbers[0], 1.0
    apart = values - mean
    largest = float(apart.abs().max())
    squares = (apart / largest).square()  # none of them is too small or too large for a float
    return mean, largest * math.sqrt(math.fsum(squares.tolist()) / len(numbers))


def _shown(value: float, std: float) -> str:
    if math.isnan(value):
        return "\u2013"
    digits = 2 - math.floor(math.log10(std))
    return f"{value:.{max(digits, 0)}f}" if digits <= 12 and abs(value) < 1e15 else f"{value:.6g}"


def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: "torch.device", dtype: str
) -> "tuple[Tensor, Tensor]":
    import torch

    made = _made.__wrapped__ if torch.compiler.is_exporting() else _made  # stand-ins, which must not be kept
    return made(mean, std, device, dtype)


@lru_cache(maxsize=32)
def _made(
    mean: tuple[float, ...], std: tuple[float, ...], device: "torch.device", dtype: str
) -> "tuple[Tensor, Tensor]":
    import torch

    kind = getattr(torch, dtype)
    return torch.tensor(mean, device=device, dtype=kind), torch.tensor(std, device=device, dtype=kind)
