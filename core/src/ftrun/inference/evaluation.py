"""`ftrun evaluate`: a run's best epoch, evaluated again on the run's data, or on other data."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Splits
from ftrun.contracts.errors import DataError, FtrunError, located
from ftrun.data import splits as split_checks
from ftrun.data.remarks import absent
from ftrun.inference.aligned import align
from ftrun.inference.opened import NET, Opened, open_run
from ftrun.plugins.building import build, inside
from ftrun.runs import identity, predictions
from ftrun.runs.console import Console, error_console
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.spec.runspec import RunSpec
from ftrun.spec.specfile import json_or_text
from ftrun.train.assemble import build_losses, build_metrics
from ftrun.train.augmenting import Augmenter
from ftrun.train.evaluate import Evaluator, evaluate
from ftrun.train.feed import corrupt_samples, decoder, loader
from ftrun.train.flips import check_flips
from ftrun.train.memory import Portions
from ftrun.train.objective import build_objective, restore_objective
from ftrun.train.ready import Ready

EVALUATING = ("loss", "objective", "metrics")
"""The keys of a spec whose parts evaluate a net."""


def evaluate_run(
    folder: RunFolder,
    dataset: str | Path | None,
    split: str | None,
    device: str | None,
    *,
    other_data: bool = False,
    trust: bool = False,
    flips: bool | None = None,
) -> dict[str, Any]:
    """Return the metrics of the best epoch, by split, as results.json has them.

    dataset: other data: a part as in a spec, or its JSON; or a path, of such data as the run's own
    split: the one to evaluate on; all but train, or train where there is no other, if not given
    other_data: whether the run's own data is taken although its content is not what it was
    trust: whether local parts in the folder may run although this user has never run them
    flips: whether outputs are means over each image and its mirror image; as in the run if not given
    """
    console = error_console()
    keys = _keys(folder) if isinstance(dataset, str) else (*_keys(folder), "dataset")
    named = [("dataset", dataset)] if isinstance(dataset, str) else []
    catalogue = folder.catalogue((*NET, *keys), named=named, trust=trust)
    run = open_run(folder, device, compiled=True, catalogue=catalogue, keys=keys)
    for difference in run.not_as_it_was():
        console.say(f"not as it was: {difference}")
    spec = spec_with(dataset, run, keys) if dataset is not None else run.spec
    as_run = flips in (None, run.spec.evaluation.flips)
    flips = run.spec.evaluation.flips if flips is None else flips
    if flips:
        check_flips(run.net.input, run.net.targets, "--flips")
    changed: list[str] = []
    if dataset is not None:
        splits = other_splits(spec, run)
    else:
        names = [split] if split else ["val", "test"]
        splits, changed = own_splits(run, console.say, names=names, allowed=other_data)
    wanted = _wanted(splits, split)
    if dataset is not None and identity.same_data(spec, run.resolved):
        console.say("this is the data that the run was trained on: training samples may be among those that are judged")
    for note in (*splits.notes, *(absent(splits) if dataset is not None else ())):
        console.say(note)
    own = dataset is None and not changed and as_run
    keep = _to_be_kept(folder, splits, console) if own else None
    with _threads(run.resolved.get("threads")):
        return {
            "run": str(folder.path),
            "epoch": run.best["epoch"],
            "dataset": spec.resolved()["dataset"],
            "samples": {name: len(each) for name, each in splits.items() if name in wanted},
            **({"changed": changed} if changed else {}),
            **({"flips": flips} if not as_run else {}),
            **_evaluated(run, spec, splits, wanted, console, keep, own_data=own, flips=flips),
        }


def _keys(folder: RunFolder) -> tuple[str, ...]:
    """Return the keys of a run's spec whose parts evaluate its net: an objective may take augmented views."""
    spec = folder.read_json("resolved.json").get("spec")
    has_objective = isinstance(spec, dict) and spec.get("objective") is not None
    return (*EVALUATING, "augment") if has_objective else EVALUATING


def _to_be_kept(folder: RunFolder, splits: Splits, console: Console) -> str | None:
    """Return the split whose predictions a run keeps, where this one has not, or not those of its best epoch."""
    split = "val" if splits.test is None else "test"
    try:
        return None if predictions.of_best(folder, split) else split
    except FtrunError as error:  # a damaged file is written anew
        console.say(str(error))
        return split


def spec_with(dataset: str | Path, run: Opened, keys: Collection[str] = ()) -> RunSpec:
    """Return the run's spec with another dataset, or its own at another path; of other parts, the net's and `keys`'."""
    if isinstance(dataset, Path):
        with located("PATH"):
            return run.spec.model_copy(update={"dataset": run.spec.dataset.at(dataset)})
    data = {**run.resolved["spec"], "dataset": json_or_text(dataset)}
    return check_spec(data, run.catalogue, name="--dataset", keys=(*NET, "dataset", *keys))


def own_splits(
    run: Opened, say: Callable[[str], None], *, names: Collection[str] | None = None, allowed: bool = False
) -> tuple[Splits, list[str]]:
    """Return the run's own data, and what has changed in it. Raises DataError where it is not what it was.

    say: shown what has changed, where that is no error
    names, allowed: see `identity.check`
    """
    for line in identity.not_from_here(run.resolved):
        say(line)
    remedy = "Bring the data back. To judge the run on other data: --dataset."
    splits, changed = own_data(run.spec, run.resolved, remedy, names=names, allowed=allowed)
    for change in changed:
        say(f"the data is not what this run began with: {change}")
    return splits, changed


def own_data(
    spec: RunSpec,
    resolved: Mapping[str, Any],
    remedy: str,
    *,
    names: Collection[str] | None = None,
    allowed: bool = False,
) -> tuple[Splits, list[str]]:
    """Return the run's own data, and what has changed in it. Raises DataError, ending with `remedy`, if it may not.

    names, allowed: see `identity.check`
    """
    with identity.explaining_missing(resolved), inside(spec.dataset, "dataset"):
        splits = split_checks.complete(
            build(spec.dataset, "dataset"), val_fraction=spec.train.val_fraction, seed=spec.seed
        )
    return identity.check(resolved, splits, remedy, names=names, allowed=allowed)


def other_splits(spec: RunSpec, run: Opened) -> Splits:
    """Return other data, every sample of it once, its classes matched with the run's by name."""
    splits = build(spec.dataset, "--dataset", method="evaluation")
    with inside(spec.dataset, "--dataset"):
        split_checks.check_values(splits)
        _, notes = run.net.input.looked_at(splits.files, new=False)
        return align(splits, run.net.targets).with_notes(*notes)


def _wanted(splits: Splits, split: str | None) -> list[str]:
    names = [name for name, _ in splits.items()]
    if split is None:
        return [name for name in names if name != "train"] or names
    if split not in names:
        raise DataError(f"--split {split}: the data has no such split. It has {', '.join(names)}.")
    return [split]


def _evaluated(
    run: Opened,
    spec: RunSpec,
    splits: Splits,
    wanted: list[str],
    console: Console,
    keep: str | None,
    *,
    own_data: bool,
    flips: bool,
) -> dict[str, Any]:
    losses = build_losses(
        spec, splits.with_targets(run.net.targets), _training_values(run, splits), run.net, run.device, run.states
    )
    objective = build_objective(spec, run.net, losses, run.device, run.states)
    run.setting.apply(objective)
    restore_objective(run.folder.best(), objective, run.device)
    augmenter = Augmenter.of(spec, run.net) if objective.views > 1 else Augmenter()
    evaluator = Evaluator(
        net=run.net,
        seed=run.spec.seed,
        device=run.device,
        setting=run.setting,
        objective=objective,
        targets=run.net.targets,
        missing=split_checks.with_missing(splits),
        metrics=build_metrics(spec, run.net.targets, run.device),
        ready=Ready(spec.seed, run.device, run.net.prepare, augmenter, objective.views),
        flips=flips,
    )
    decoding = decoder(spec, run.net.input, run.net.targets, console.say, progress=console.progress)
    corrupt = corrupt_samples(spec, console.say)
    portions = Portions(run.device, run.micro_batch, console.say, whole_batch=objective.whole_batch)
    metrics = {}
    for name, split in splits.items():
        if name not in wanted:
            continue
        reading = loader(spec, name, decoding.split(split, name), run.net.input, corrupt, run.device, run.net.targets)
        collected = predictions.Collected() if name == keep else None
        with console.progress(name, reading.samples) as bar:
            evaluated = evaluate(evaluator, reading, bar, portions=portions, keep=collected)
        metrics[name] = _as_json(run, name, evaluated, own_data)
        if collected:
            _keep(run, name, collected, console)
    return metrics


def _as_json(run: Opened, split: str, metrics: dict[str, Any], own_data: bool) -> dict[str, Any]:
    """Return the metrics; large arrays of the run's own data are in its folder, and of other data in full."""
    if own_data:
        with suppress(FtrunError):  # where one may not write
            return predictions.keep_arrays(run.folder, split, metrics)
    return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in metrics.items()}


def _keep(run: Opened, split: str, collected: predictions.Collected, console: Console) -> None:
    """Write what a run of an earlier version did not; no harm where the folder may not be written to."""
    try:
        predictions.save(run.folder, split, collected.all(), {"split": split, "epoch": run.best["epoch"]})
    except FtrunError as error:
        console.say(f"predictions are not kept: {error}")
    else:
        console.say(f"kept: {predictions.path_of(run.folder, split)}")


def _training_values(run: Opened, splits: Splits) -> dict[str, Tensor | None]:
    """Return by target what the run's loss was built from: the run's own training labels, not those of other data."""
    recorded = run.resolved.get("class_counts", {})
    values = {}
    for name, target in run.net.targets.items():
        column = target.values_of(recorded[name]) if name in recorded else None
        if column is None:
            column = next(iter(splits.columns(name).values()), None)  # the loss's own state is kept
        values[name] = column
    return values


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with as many threads as the run had: sums come out in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(count if isinstance(count, int) and count > 0 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
