"""The same samples of two runs, side by side, or why there are none."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ftrun import Target, tree_index
from ftrun_report.compare.measures import Outcomes
from ftrun_report.kinds import measures
from ftrun_report.snapshot import Snapshot


class NotPaired(Exception):
    """Why two runs cannot be compared sample by sample."""


def paired(one: Snapshot, other: Snapshot) -> dict[str, tuple[Outcomes, Outcomes]]:
    """Return the outcomes of two runs on the same samples, by target, in the terms of the first. Raises NotPaired."""
    for each in (one, other):
        if each.predictions is None:
            raise NotPaired(_why_none(each))
    if one.split != other.split:
        raise NotPaired(f"{one.folder} was judged on {one.split}, and {other.folder} on {other.split}")
    _same_targets(one, other)
    _same_data(one, other)
    first, second = _common(one, other)
    kept = [each.predictions.outputs if each.predictions else {} for each in (one, other)]
    named = [name for name, target in one.targets.items() if measures(target) and all(name in each for each in kept)]
    if not named:
        kinds = dict.fromkeys(target.kind for target in one.targets.values())
        raise NotPaired(f"nothing compares single samples of {_listed(kinds)}" if kinds else "they predict nothing")
    pairs = {name: _side_by_side(name, one, other, first, second) for name in named}
    if not any(len(outcomes) for outcomes, _ in pairs.values()):
        raise NotPaired(f"no sample of {one.split} that both were judged on has {_listed(one.targets)}")
    return {name: pair for name, pair in pairs.items() if len(pair[0])}


def _why_none(run: Snapshot) -> str:
    """Return why a run has no predictions."""
    state = run.status.get("state")
    if state != "finished":
        return f"{run.folder} is {state}: it has not been judged on {run.split} yet"
    return (
        f"{run.folder} has kept no predictions of its best epoch on {run.split}. To have them: "
        f"ftrun evaluate {run.folder}"
    )


def _same_targets(one: Snapshot, other: Snapshot) -> None:
    if set(one.targets) != set(other.targets):
        raise NotPaired(f"they predict {_listed(one.targets)} and {_listed(other.targets)}")
    for name, target in one.targets.items():
        second = other.targets[name]
        if second.kind != target.kind:
            raise NotPaired(f"target {name!r} is {target.kind} in {one.folder}, and {second.kind} in {other.folder}")
        apart = sorted(set(second.names_in_use()) ^ set(target.names_in_use()))
        if apart:
            raise NotPaired(f"target {name!r} does not have the same names: {_listed(apart)} in one run alone")
        if not target.names_in_use() and second.identity() != target.identity():
            raise NotPaired(
                f"target {name!r} is {target.identity()} in {one.folder}, and another one in {other.folder}"
            )


def _same_data(one: Snapshot, other: Snapshot) -> None:
    """Raise NotPaired where they were judged on other samples, as far as their folders tell."""
    inputs = [_fingerprint(each) for each in (one, other)]
    if None not in inputs:
        if inputs[0] != inputs[1]:
            raise NotPaired(f"their {one.split} samples are not the same: the fingerprints of their inputs differ")
        return
    datasets = [each.spec.get("dataset") for each in (one, other)]
    if datasets[0] != datasets[1]:
        raise NotPaired("they were judged on other data: the dataset differs in their specs")
    if one.split == "val" and _cut(one) != _cut(other):
        raise NotPaired("they were judged on val, which may be cut from train, and seed or val_fraction differ")


def _fingerprint(run: Snapshot) -> Any:
    data = run.resolved.get("data")
    split = data.get(run.split) if isinstance(data, Mapping) else None
    return split.get("inputs") if isinstance(split, Mapping) else None


def _cut(run: Snapshot) -> tuple[Any, Any]:
    return run.spec.get("seed"), run.train.get("val_fraction")


def _common(one: Snapshot, other: Snapshot) -> tuple[Tensor, Tensor]:
    """Return the positions in each of the samples that both were evaluated on, int64 [N]: one may have skipped some."""
    assert one.predictions is not None
    assert other.predictions is not None
    ids, others = one.predictions.ids, other.predictions.ids
    first, second = (_positions(*pair) for pair in ((ids, others), (others, ids)))
    if not len(first) or not torch.equal(ids[first], others[second]):
        raise NotPaired("they have no samples in common")
    return first, second


def _positions(ids: Tensor, wanted: Tensor) -> Tensor:
    order = ids.argsort()
    return order[torch.isin(ids[order], wanted)]


def _side_by_side(
    name: str, one: Snapshot, other: Snapshot, first: Tensor, second: Tensor
) -> tuple[Outcomes, Outcomes]:
    assert one.predictions is not None
    assert other.predictions is not None
    target, theirs = one.targets[name], other.targets[name]
    names = theirs.names_in_use()
    truth = tree_index(one.predictions.truth[name], first)
    other_truth = target.aligned(tree_index(other.predictions.truth[name], second), names)
    apart = (~target.same(truth, other_truth)).nonzero().flatten()
    if len(apart):
        raise NotPaired(
            f"their {one.split} samples are not the same: of {len(apart):,} of {len(first):,}, the truth differs, the "
            f"first of them sample {int(one.predictions.ids[first][apart[0]])}"
        )
    outputs = tree_index(one.predictions.outputs[name], first)
    others = tree_index(other.predictions.outputs[name], second)
    return outcomes_of(target, outputs, truth), outcomes_of(target, others, truth, theirs)


def outcomes_of(target: Target, outputs: Any, truth: Any, theirs: Target | None = None) -> Outcomes:
    """Return the outcomes of those samples that have the target.

    theirs: the same target in another run, whose outputs these are, in the order of its names
    """
    own = theirs or target
    made = {"outputs": own.calibrated(outputs)}
    if (decided := own.decided(outputs)) is not None:
        made["decided"] = decided
    if theirs:
        made = {key: target.aligned_outputs(each, theirs.names_in_use()) for key, each in made.items()}
    made, truth = target.evaluated(made, truth, whole=False)
    return Outcomes(made["outputs"], truth, made.get("decided"))


def _listed(names: Any, most: int = 5) -> str:
    names = [repr(each) for each in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "nothing"
