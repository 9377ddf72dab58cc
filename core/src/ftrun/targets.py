"""What a dataset asks a net to predict. A dataset maps each target's name to one of these kinds.

A new kind (masks, boxes) is one more class here; loop, loss and metrics see only `outputs` and `check`.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ftrun.errors import DataError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def scores(self, output: "Tensor") -> "Tensor":
        """What a prediction tells, from the net's output [B, outputs]: probabilities, or the values as they are."""
        return output

    @property
    def outputs(self) -> int:
        """Number of values that the net's head gives for one sample."""
        return len(self.names)  # type: ignore[attr-defined]

    def present(self, values: "Tensor") -> "Tensor":
        """bool [B]: which samples have this target; the others have NaN there."""
        return ~values.isnan().flatten(1).any(1)

    def standardised(self, values: "Tensor") -> "Tensor":
        """Values, or what the net says of them [B, outputs], in the terms in which the head learns them."""
        return values

    def decoded(self, output: "Tensor") -> "Tensor":
        """What the head gave [B, outputs] in the terms of the dataset."""
        return output


class Classes(_Target):
    """Exactly one of several classes. Values: int64 [B], positions in `names`; -1 where a sample has none."""

    kind: Literal["classes"] = "classes"
    names: tuple[str, ...] = Field(min_length=1)

    def present(self, values: "Tensor") -> "Tensor":
        """bool [B]: which samples have a class."""
        return values >= 0

    def scores(self, output: "Tensor") -> "Tensor":
        """Probabilities that sum to 1: softmax."""
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
    NaN where a sample has none."""

    kind: Literal["labels"] = "labels"
    names: tuple[str, ...] = Field(min_length=1)

    def scores(self, output: "Tensor") -> "Tensor":
        """Each label's own probability: sigmoid."""
        return output.sigmoid()

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a row has another length than `names`, or a value is neither 0 nor 1."""
        _check_width(values, len(self.names), where)
        wrong = ((values != 0) & (values != 1) & ~values.isnan()).any(dim=1).nonzero()
        if len(wrong):
            raise DataError(f"{where}: sample {int(wrong[0])} has labels other than 0 and 1.")


class Values(_Target):
    """One or more real numbers. Values: float32 [B, V]; NaN where a sample has none.

    A net learns them standardised, by the mean and standard deviation of the training samples, or of what the dataset
    says, and gives them as they are.
    """

    kind: Literal["values"] = "values"
    names: tuple[str, ...] = ("value",)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def learnt_from(self, values: "Tensor") -> "Values":
        """The same with the mean and standard deviation [V] of training values [N, V]; a constant has 1.

        What a dataset has said itself stays.
        """
        if self.mean:
            return self
        there = values[self.present(values)].double()
        std = [each or 1.0 for each in there.std(0, correction=0).tolist()]
        return self.model_copy(update={"mean": tuple(there.mean(0).tolist()), "std": tuple(std)})

    def standardised(self, values: "Tensor") -> "Tensor":
        """Mean 0 and standard deviation 1 in each column [B, V]."""
        if not self.mean:
            return values
        mean, std = _as_tensors(self.mean, self.std, values.device)
        return (values - mean) / std

    def decoded(self, output: "Tensor") -> "Tensor":
        """The values themselves, float32 [B, V], from standardised ones."""
        if not self.mean:
            return output
        mean, std = _as_tensors(self.mean, self.std, output.device)
        return output.float() * std + mean

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a row has another length than `names`, or a value is infinite."""
        _check_width(values, len(self.names), where)
        wrong = values.isinf().any(dim=1).nonzero()
        if len(wrong):
            raise DataError(f"{where}: sample {int(wrong[0])} has a value that is not finite.")


def _as_tensors(mean: tuple[float, ...], std: tuple[float, ...], device: "torch.device") -> "tuple[Tensor, Tensor]":
    import torch

    # While a net is exported, tensors are stand-ins that must not be kept.
    made = _made if not torch.compiler.is_exporting() else _made.__wrapped__
    return made(mean, std, device)


@lru_cache(maxsize=32)
def _made(mean: tuple[float, ...], std: tuple[float, ...], device: "torch.device") -> "tuple[Tensor, Tensor]":
    import torch

    return torch.tensor(mean, device=device), torch.tensor(std, device=device)


def _check_width(values: "Tensor", width: int, where: str) -> None:
    if values.ndim != 2 or values.shape[1] != width:
        raise DataError(f"{where}: targets have shape {list(values.shape)}, but [samples, {width}] is needed.")


Target = Annotated[Classes | Labels | Values, Field(discriminator="kind")]
