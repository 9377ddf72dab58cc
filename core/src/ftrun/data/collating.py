"""Raw inputs, looked at before they are collated: one of another kind is told as such, not by how a net fails on it."""

from dataclasses import dataclass
from typing import Any

from ftrun.contracts.errors import DataError
from ftrun.contracts.inputs import InputSpec, Tensors
from ftrun.plugins.building import shown


class NotAccepted(DataError):
    """A raw input that is none of the net's kind. position: its place in the list that was to be collated."""

    def __init__(self, input: InputSpec, raw: Any, position: int = 0) -> None:  # noqa: A002  (the contract's word)
        super().__init__(f"the net takes {input.requirement}, but this is {shown(raw)}.")
        self.position = position

    def of(self, name: str) -> DataError:
        """Return the error of a sample with this name."""
        return DataError(f"{name}: {self.message}")


def accepted(input: InputSpec, raw: Any, name: str) -> Any:  # noqa: A002  (the contract's word)
    """Return a raw input that the net takes. Raises DataError, with its name, for any other."""
    if not input.accepts(raw):
        raise NotAccepted(input, raw).of(name)
    return raw


@dataclass(frozen=True)
class Collating:
    """Collates raw inputs; a whole batch of them as it is."""

    input: InputSpec

    def __call__(self, raw: Any) -> Tensors:
        """Return what the input makes of them. Raises NotAccepted for the first that it does not take."""
        if isinstance(raw, list):
            for position, each in enumerate(raw):
                if not self.input.accepts(each):
                    raise NotAccepted(self.input, each, position)
        return self.input.collate(raw)
