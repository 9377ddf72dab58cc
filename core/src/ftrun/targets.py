"""What a dataset asks a net to predict. A dataset maps each target's name to one of these kinds.

A new kind (masks, boxes) is one more class here; loop, loss and metrics see only `outputs` and `check`.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ftrun.errors import DataError

if TYPE_CHECKING:
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


class Classes(_Target):
    """Exactly one of several classes. Values: int64 [B], positions in `names`."""

    kind: Literal["classes"] = "classes"
    names: tuple[str, ...] = Field(min_length=1)

    def scores(self, output: "Tensor") -> "Tensor":
        """Probabilities that sum to 1: softmax."""
        return output.softmax(1)

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a value is not a position in `names`."""
        wrong = ((values < 0) | (values >= len(self.names))).nonzero()
        if len(wrong):
            sample = int(wrong[0])
            raise DataError(
                f"{where}: sample {sample} has label {int(values[sample])}, but there are {len(self.names)} classes, "
                f"so labels go from 0 to {len(self.names) - 1}. Wrong labels in all: {len(wrong)}."
            )


class Labels(_Target):
    """Any number of several labels at once. Values: float32 [B, L], 1 where the label holds, else 0."""

    kind: Literal["labels"] = "labels"
    names: tuple[str, ...] = Field(min_length=1)

    def scores(self, output: "Tensor") -> "Tensor":
        """Each label's own probability: sigmoid."""
        return output.sigmoid()

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a row has another length than `names`, or a value is neither 0 nor 1."""
        _check_width(values, len(self.names), where)
        wrong = ((values != 0) & (values != 1)).any(dim=1).nonzero()
        if len(wrong):
            raise DataError(f"{where}: sample {int(wrong[0])} has labels other than 0 and 1.")


class Values(_Target):
    """One or more real numbers. Values: float32 [B, V]."""

    kind: Literal["values"] = "values"
    names: tuple[str, ...] = ("value",)

    def check(self, values: "Tensor", where: str) -> None:
        """Raise DataError where a row has another length than `names`, or a value is not finite."""
        _check_width(values, len(self.names), where)
        wrong = (~values.isfinite()).any(dim=1).nonzero()
        if len(wrong):
            raise DataError(f"{where}: sample {int(wrong[0])} has a value that is not finite.")


def _check_width(values: "Tensor", width: int, where: str) -> None:
    if values.ndim != 2 or values.shape[1] != width:
        raise DataError(f"{where}: targets have shape {list(values.shape)}, but [samples, {width}] is needed.")


Target = Annotated[Classes | Labels | Values, Field(discriminator="kind")]
