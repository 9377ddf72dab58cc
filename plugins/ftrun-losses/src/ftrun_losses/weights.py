"""What classes and labels weigh: as a spec says by their names, or by how many training samples have them."""

from collections.abc import Mapping

import torch
from torch import Tensor

import ftrun

AUTO = "auto"


def balanced(counts: Tensor) -> Tensor:
    """Return N / (classes x count of the class), float32 [K], so that the mean over the samples is 1.

    As scikit-learn's class_weight="balanced", after King and Zeng, "Logistic regression in rare events data", 2001.

    counts: samples of each class, int64 [K]
    """
    return counts.sum() / (len(counts) * counts.clamp(min=1).float())


def positives_and_negatives(target: ftrun.Target, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many training samples have each label, and how many have not, int64 [L]; those not known are neither.

    Of classes: how many are of each class, and of another one.
    """
    if target.kind == "classes":
        counts = class_counts(target, values)
        return counts, counts.sum() - counts
    return (values == 1).sum(0), (values == 0).sum(0)


def class_counts(target: ftrun.Target, values: Tensor) -> Tensor:
    """Return how many training samples are of each class, int64 [K]."""
    return values.bincount(minlength=len(target.names_in_use()))


def in_order(option: str, weights: Mapping[str, float], target: ftrun.Target, otherwise: float) -> Tensor:
    """Return what a spec says of each class or label by its name, float32 [K]; `otherwise` where it says nothing.

    Raises SpecError for a name that the target does not have.
    """
    names, what = target.names_in_use(), "class" if target.kind == "classes" else "label"
    for name in weights:
        if name not in names:
            near, listed = ftrun.did_you_mean(name, names), ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            plural = "classes" if what == "class" else "labels"
            raise ftrun.SpecError(f"{option}: no {what} is called {name!r}.{near} The {plural} are {listed}.")
    return torch.tensor([weights.get(name, otherwise) for name in names])


def known(option: str, values: Tensor | None) -> Tensor:
    """Return the training values. Raises SpecError where they are not known without reading inputs."""
    if values is None:
        raise ftrun.SpecError(
            f'{option}: "auto" goes by the training samples, and this dataset does not tell their values before it is '
            "read. Give numbers by name."
        )
    return values
