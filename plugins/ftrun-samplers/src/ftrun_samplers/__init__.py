"""Sampler `balanced`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from ftrun_samplers.balanced import Balanced

FTRUN_API = "2.0"


class BalancedSampler(ftrun.Sampler):
    """Each class equally often, however rare it is: samples of rare ones come several times in an epoch."""

    name: Literal["balanced"]
    target: str | None = Field(
        None, description="The target whose classes, or labels, are balanced; the first that has some if not given."
    )
    samples: int | None = Field(
        None, ge=1, description="Samples in an epoch; as many as the training split has if not given."
    )

    def build(self, split: ftrun.Split, targets: Mapping[str, Any]) -> "Balanced":
        """Return what gives the indices of an epoch.

        Raises SpecError where the dataset has no such target, or none with classes or labels.
        """
        from ftrun_samplers.balanced import Balanced

        if self.target is not None and self.target not in targets:
            near = ftrun.did_you_mean(self.target, targets)
            raise ftrun.SpecError(f"the dataset has no target {self.target!r}.{near} It has {', '.join(targets)}.")
        names = list(targets) if self.target is None else [self.target]
        columns: Mapping[str, Any] = getattr(split, "columns", {})
        for name in names:
            members = targets[name].members(columns[name]) if name in columns else None
            if members is not None:
                return Balanced(*members, self.samples or len(split))
        raise ftrun.SpecError(f"{', '.join(map(repr, names))} has no classes or labels that could be balanced.")


@ftrun.hookimpl
def ftrun_samplers() -> list[type[ftrun.Sampler]]:
    return [BalancedSampler]
