"""What a dataset asks a net to predict. A dataset maps each target's name to one of these kinds.

A new kind (masks, boxes) is one more class here; loop, loss and metrics see only `outputs` and `check`. What a sample
misses (class -1, NaN) is neither trained nor evaluated on: `known` says what that is, and nothing else does.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ftrun.contracts.errors import DataError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_LARGEST = 1e150
"""Of values: their squares are finite numbers too."""
_COARSE = 1e-3
"""Steps between numbers, in standard deviations, from which a user is told of them."""
_FLOAT32_KEEPS = 1000
"""Standard deviations that values may be away from 0 for float32 to tell them apart to 1e-4 of one."""


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @property
    def outputs(self) -> int:
        """Number of values that the net's head gives for one sample."""
        return len(self.names)  # type: ignore[attr-defined]

    def known(self, values: "Tensor") -> "Tensor":
        """Return which values are known, bool of their shape; the others are NaN."""
        return ~values.isnan()

    def present(self, values: "Tensor") -> "Tensor":
        """Return which samples have this target, if only in part: bool [B]."""
        return _rows(self.known(values)).any(1)

    def complete(self, values: "Tensor") -> "Tensor":
        """Return of which samples all is known: bool [B]."""
        return _rows(self.known(values)).all(1)

    def same(self, values: "Tensor", others: "Tensor") -> "Tensor":
        """Return which samples have the same values in both, or miss the same ones: bool [B]."""
        return _rows((values == others) | ~(self.known(values) | self.known(others))).all(1)

    def judged(self, output: "Tensor", values: "Tensor", *, whole: bool) -> "tuple[Tensor, Tensor]":
        """Return output and values of the samples that judge: of which something is known or, if `whole`, all."""
        chosen = self.complete(values) if whole else self.present(values)
        return output[chosen], values[chosen]

    def aligned(self, values: "Tensor", names: Sequence[str]) -> "Tensor":
        """Return values of a target with these names, in another order and perhaps more, in the order of this one."""
        return values[:, [list(names).index(name) for name in self.names]]  # type: ignore[attr-defined]

    def fitted(self, values: "Tensor") -> Self:
        """Return the target with what it takes from the training values, [N, ...]; most take nothing."""
        return self

    def notes(self, values: "Tensor") -> Iterator[str]:
        """Return what a user has to know of the training values, [N, ...]."""
        yield from ()

    def encode(self, values: "Tensor") -> "Tensor":
        """Return values in the terms that the head learns them in: what a loss compares its output with."""
        return values

    def filled(self, output: "Tensor", values: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return the head's output [B, outputs] and encoded values, where single ones are missing with a right answer.

        A loss is about 0 in such places, and no gradient comes from them.
        """
        return output, values

    def decode(self, output: "Tensor") -> "Tensor":
        """Return what metrics see of the head's output [B, outputs]: logits as they are."""
        return output

    def scores(self, output: "Tensor") -> "Tensor":
        """Return what a prediction tells, from the head's output [B, outputs]: probabilities, or values."""
        return self.decode(output)

    def exported(self, output: "Tensor") -> "Tensor":
        """Return the scores as a file of another format has them: in float32, unless that is too little."""
        return self.scores(output.float())


class Classes(_Target):
    """Exactly one of several classes. Values: int64 [B], positions in `names`; -1 where a sample has none."""

    kind: Literal["classes"] = "classes"
    names: tuple[str, ...] = Field(min_length=1)

    def known(self, values: "Tensor") -> "Tensor":
        """Return which samples have a class: bool [B]."""
        return values >= 0

    def aligned(self, values: "Tensor", names: Sequence[str]) -> "Tensor":
        """Return positions in this target's names, int64 [N], from positions in `names`; -1 of one it does not know."""
        import torch

        known = {name: position for position, name in enumerate(self.names)}
        positions = torch.tensor([*(known.get(name, -1) for name in names), -1])
        return positions[values]  # -1, no class, is the last one

    def scores(self, output: "Tensor") -> "Tensor":
        """Return probabilities that sum to 1: softmax."""
        return output.softmax(1)

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a value is neither a position in `names` nor -1."""
        wrong = ((values < -1) | (values >= len(self.names))).nonzero()
        if len(wrong):
            sample = int(wrong[0])
            raise DataError(
                f"{where}: sample {sample} has label {int(values[sample])}, but there are {len(self.names)} classes, "
                f"so labels go from 0 to {len(self.names) - 1} (-1 where there is none). "
                f"Wrong labels in all: {len(wrong)}."
            )


class Labels(_Target):
    """Any number of several labels at once. Values: float32 [B, L], 1 where the label holds, else 0;
    NaN where that is not known."""

    kind: Literal["labels"] = "labels"
    names: tuple[str, ...] = Field(min_length=1)

    def filled(self, output: "Tensor", values: "Tensor") -> "tuple[Tensor, Tensor]":
        """Fill in, for a label that is not known, that it does not hold, with an output that is very sure of that."""
        known = self.known(values)
        return output.where(known, -100.0), values.where(known, 0.0)

    def scores(self, output: "Tensor") -> "Tensor":
        """Return each label's own probability: sigmoid."""
        return output.sigmoid()

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a row has another length than `names`, or a value is neither 0, 1 nor NaN."""
        _check_width(values, len(self.names), where)
        wrong = ((values != 0) & (values != 1) & ~values.isnan()).any(dim=1).nonzero()
        if len(wrong):
            raise DataError(f"{where}: sample {int(wrong[0])} has labels other than 0 and 1.")


class Values(_Target):
    """One or more real numbers. Values: float64 or float32 [B, V]; NaN where a sample has none.

    A net learns them standardised, by the mean and standard deviation of the training samples, or of what the dataset
    says, and gives them as they are. Means are subtracted in float64: what is far from 0 keeps its digits, if the
    dataset gives it in float64.
    """

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
            if not all(map(math.isfinite, numbers)):
                raise ValueError(f"{what} has to be finite numbers")
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
        return self._unscaled((output.cpu() if output.device.type == "mps" else output).double())

    def exported(self, output: "Tensor") -> "Tensor":
        """Return values as `decode` has them, in float32 where that tells them apart."""
        return self._unscaled(output.double() if self.needs_float64 else output.float())

    def shown(self, values: Sequence[float]) -> list[str]:
        """Return values [V] for people: to a hundredth of their standard deviation, a dash where one is not known."""
        return [_shown(value, std) for value, std in zip(values, self.std or [1.0] * len(values), strict=True)]

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

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a row has another length than `names`, or a value is infinite, or nearly."""
        _check_width(values, len(self.names), where)
        wrong = (values.double().abs() > _LARGEST).any(dim=1).nonzero()
        if len(wrong):
            raise DataError(f"{where}: sample {int(wrong[0])} has a value that is not finite, or beyond {_LARGEST:g}.")


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


def _rows(each: "Tensor") -> "Tensor":  # [B, ...] as [B, N]
    return each.flatten(1) if each.ndim > 1 else each[:, None]


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


def _check_width(values: "Tensor", width: int, where: str) -> None:
    if list(values.shape)[1:] != [width]:
        raise DataError(f"{where}: targets have shape {list(values.shape)}, but [samples, {width}] is needed.")


Target = Annotated[Classes | Labels | Values, Field(discriminator="kind")]
