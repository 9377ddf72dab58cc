"""Samplers `balanced`, `weighted`, `few`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor

    from ftrun_samplers.orders import Shared, Subset

FTRUN_API = "2.0"


class _ByClass(ftrun.Sampler):
    """A sampler that goes by the classes, or labels, of one target."""

    target: str | None = Field(
        None, description="The target whose classes, or labels, it goes by; the first that has some if not given."
    )

    def members(self, split: ftrun.Split, targets: Mapping[str, Any]) -> "tuple[tuple[str, ...], Tensor, Tensor]":
        """Return the names of the classes; samples and the classes that they are in, int64 [M] both.

        Raises SpecError where the dataset has no such target, or none with classes or labels.
        """
        if self.target is not None and self.target not in targets:
            near = ftrun.did_you_mean(self.target, targets)
            raise ftrun.SpecError(f"the dataset has no target {self.target!r}.{near} It has {', '.join(targets)}.")
        names = list(targets) if self.target is None else [self.target]
        columns: Mapping[str, Any] = getattr(split, "columns", {})
        for name in names:
            members = targets[name].members(columns[name]) if name in columns else None
            if members is not None:
                return targets[name].names_in_use(), *members
        raise ftrun.SpecError(f"{', '.join(map(repr, names))} has no classes or labels that {self.name} could go by.")


class BalancedSampler(_ByClass):
    """Each class equally often, however rare it is: samples of rare ones come several times in an epoch."""

    name: Literal["balanced"]
    samples: int | None = Field(
        None, ge=1, description="Samples in an epoch; as many as the training split has if not given."
    )

    def build(self, split: ftrun.Split, targets: Mapping[str, Any]) -> "Shared":
        """Return what gives the indices of an epoch."""
        from ftrun_samplers.orders import Shared

        _, members, classes = self.members(split, targets)
        groups = [members[classes == each] for each in classes.unique(sorted=True).tolist()]
        return Shared(groups, [1.0] * len(groups), self.samples or len(split))


class WeightedSampler(_ByClass):
    """Some classes more often, or more rarely, than the data has them."""

    name: Literal["weighted"]
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="How often samples come by the name of their class or label, 1 if not named."
    )
    samples: int | None = Field(
        None, ge=1, description="Samples in an epoch; as many as the training split has if not given."
    )

    def build(self, split: ftrun.Split, targets: Mapping[str, Any]) -> "Shared":
        """Return what gives the indices of an epoch. Raises SpecError for a weight of an unknown name."""
        import torch

        from ftrun_samplers.orders import Shared, weights_of_samples

        names, members, classes = self.members(split, targets)
        for name in self.weights:
            if name not in names:
                raise ftrun.SpecError(
                    f"weights: there is no {name!r}.{ftrun.did_you_mean(name, names)} There are {', '.join(names[:10])}"
                    f"{', ...' if len(names) > 10 else ''}."
                )
        by_class = torch.tensor([self.weights.get(name, 1.0) for name in names], dtype=torch.float64)
        weights = weights_of_samples(members, classes, by_class, len(split))
        distinct = weights.unique().tolist()
        groups = [(weights == each).nonzero().flatten() for each in distinct]
        shares = [each * len(group) for each, group in zip(distinct, groups, strict=True)]
        return Shared(groups, shares, self.samples or len(split))


class FewSampler(_ByClass):
    """A few samples of each class, always the same ones: what a net learns from so little."""

    name: Literal["few"]
    k: int = Field(5, ge=1, description="Samples of each class, or label; all of one that has fewer.")
    subset: int = Field(0, ge=0, lt=2**63, description="Which of the possible samples; it does not depend on the seed.")

    def build(self, split: ftrun.Split, targets: Mapping[str, Any]) -> "Subset":
        """Return what gives the indices of an epoch."""
        from ftrun_samplers.orders import Subset, few_of_each

        _, members, classes = self.members(split, targets)
        return Subset(few_of_each(members, classes, self.k, self.subset))


@ftrun.hookimpl
def ftrun_samplers() -> list[type[ftrun.Sampler]]:
    return [BalancedSampler, WeightedSampler, FewSampler]
