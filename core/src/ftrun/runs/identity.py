"""Whether a run's data is what it was, and where: its targets, splits, fingerprints of what is in them, and paths.

resolved.json has the spec with its paths as they were given, which count from the folder that the run was started in,
and in `paths`, by their places in the spec, where they were.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftrun.contracts.data import Splits
from ftrun.contracts.errors import DataError, FtrunError
from ftrun.contracts.targets import Target
from ftrun.data import fingerprint
from ftrun.runs.progress import Progress
from ftrun.runs.targetkinds import targets_of
from ftrun.spec.runspec import RunSpec

ALLOW = "--allow-other-data"


def fingerprints(splits: Splits, names: Collection[str] | None = None) -> dict[str, dict[str, str | None]]:
    """Return by split fingerprints of its content: {"inputs": .., "targets": ..}.

    `targets` is the SHA-256 of all targets. `inputs` is null where a split has no fingerprint; `sample` is then the
    digest of a few inputs, spread over the split, or null where they cannot be read or are others each time.

    names: the splits whose inputs are of interest; `inputs` of others is left out
    """
    by_split: dict[str, dict[str, str | None]] = {}
    for name, split in splits.items():
        by_split[name] = {"targets": fingerprint.of_targets(split, splits.targets)}
        if names is None or name in names:
            by_split[name]["inputs"] = fingerprint.of_inputs(split)
            if by_split[name]["inputs"] is None:
                by_split[name]["sample"] = fingerprint.of_sample(split)
    return by_split


def check(
    resolved: Mapping[str, Any],
    splits: Splits,
    remedy: str,
    *,
    names: Collection[str] | None = None,
    allowed: bool = False,
) -> tuple[Splits, list[str]]:
    """Compare a run's data with what resolved.json says of it; return it in the run's terms, and what has changed.

    In the run's terms: values keep the mean and deviation that the net was trained with.

    names: the splits whose inputs are of interest; all if not given
    allowed: whether other content is no error; another number of samples, or other classes, always are

    Raises DataError, ending with `remedy`, where it is not the run's.
    """
    targets = targets_of(resolved["targets"], {type(each) for each in splits.targets.values()})
    then = {"targets": _identities(targets), "samples": resolved.get("samples")}
    now = {"targets": _identities(splits.targets), "samples": {name: len(split) for name, split in splits.items()}}
    for what, before in then.items():
        if before != now[what]:
            raise DataError(
                f"the data is not what this run began with: its {what} were {before}, and are {now[what]}."
                f"{_origin(resolved)} {remedy}"
            )
    changed = changes(resolved.get("data"), fingerprints(splits, names))
    if changed and not allowed:
        raise DataError(
            f"the data is not what this run began with: {'; '.join(changed)}.{_origin(resolved)} {remedy} To go "
            f"on with it all the same: {ALLOW}."
        )
    return splits.with_targets(targets), changed


def _identities(targets: Mapping[str, Target]) -> dict[str, Any]:
    """Return what each target is, without what was fitted to the training samples."""
    return {name: target.identity() for name, target in targets.items()}


def replaced(resolved: Mapping[str, Any], now: Mapping[str, Any], changed: list[str], step: int) -> dict[str, Any]:
    """Return what resolved.json is to say of data that was changed at a step: nothing where it was not.

    now: what resolved.json would say of a run that begins now
    """
    if not changed:
        return {}
    earlier = [*(resolved.get("other_data") or []), {"until_step": step, "data": resolved.get("data")}]
    change = f"From step {step} on, the data is not what it was before: {'; '.join(changed)}."
    notes = [*dict.fromkeys([*(resolved.get("notes") or []), *now["notes"], change])]
    return {"data": now["data"], "class_counts": now["class_counts"], "other_data": earlier, "notes": notes}


def best_is_of_other_data(resolved: Mapping[str, Any], progress: Progress) -> bool:
    """Return whether the best epoch so far was chosen on other val samples than there are now."""
    if not progress.best_epoch:
        return False
    step = progress.history[progress.best_epoch - 1]["step"]
    earlier = (each for each in resolved.get("other_data") or () if step <= each["until_step"])
    return any(change.startswith("val ") for each in earlier for change in changes(each["data"], resolved["data"]))


def changes(then: Any, now: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    """Return what differs, such as "train: other inputs and targets", as far as both sides know."""
    changed = []
    for name, here in now.items():
        before = then.get(name) if isinstance(then, Mapping) else None
        if not isinstance(before, Mapping):
            continue
        differing = [
            what
            for what in ("inputs", "sample", "targets")
            if isinstance(before.get(what), str) and here.get(what) not in (None, before[what])
        ]
        what = " and ".join(dict.fromkeys("inputs" if each == "sample" else each for each in differing))
        if what:
            changed.append(f"{name} has other {what}")
    return changed


def _origin(resolved: Mapping[str, Any]) -> str:
    paths = of_data(resolved)
    return f" The run read it from {', '.join(paths)}." if paths else ""


def paths_of(spec: RunSpec) -> dict[str, str]:
    """Return each path among the options of the spec's parts, absolute, by its place: {"dataset.path": "/data/x"}."""
    return {
        f"{where}.{option}": str(path.absolute())
        for where, part in spec.every_part()
        for option, path in part.paths().items()
    }


def with_recorded_paths(spec: RunSpec, resolved: Mapping[str, Any]) -> RunSpec:
    """Return the spec, each relative path where the run had it; or as it is from here, where only that is there.

    spec: as it was read from resolved.json, by nobody else: its parts are changed in place
    """
    paths = _paths(resolved)
    for where, part in spec.every_part():
        for option, given in part.paths().items():
            then = paths.get(f"{where}.{option}")
            if then is not None and given.absolute() != then and (then.exists() or not given.exists()):
                part.__dict__[option] = then  # it is frozen for everyone else
    return spec


def not_from_here(resolved: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the run's data is, where its relative path would lead elsewhere from here."""
    for place, given, then in _of_data(resolved):
        if then.exists() and given.absolute() != then and not (given.exists() and given.samefile(then)):
            other = f"; {given.absolute()} is other data, and is not read" if given.exists() else ""
            yield f"{place} is {then}, as in the run{other}"


@contextmanager
def explaining_missing(resolved: Mapping[str, Any]) -> Iterator[None]:
    """Have an error inside the block say where the run's data was, and what was looked for, if it is not there now."""
    try:
        yield
    except FtrunError as error:
        for place, given, then in _of_data(resolved):
            if not then.exists() and not given.exists():
                also = "" if given.absolute() == then else f", nor at {given.absolute()}"
                error.message += f"\n{place}: the run had it at {then}. There is nothing now{also}."
        raise


def same_data(spec: RunSpec, resolved: Mapping[str, Any]) -> bool:
    """Return whether the spec's dataset is the one that the run was trained on: the same part and paths."""
    then = {str(path) for path in of_data(resolved)}
    now = {str(path.absolute()) for path in spec.dataset.paths().values()}
    named = (resolved["spec"].get("dataset") or {}).get("name")
    return spec.dataset.name == named and (
        now == then if then else spec.resolved()["dataset"] == resolved["spec"]["dataset"]
    )


def of_data(resolved: Mapping[str, Any]) -> list[str]:
    """Return where the run's data was, as far as its dataset has options that are paths."""
    return [str(then) for _, _, then in _of_data(resolved)]


def _of_data(resolved: Mapping[str, Any]) -> Iterator[tuple[str, Path, Path]]:
    """Yield the place in the spec, the path as given, and the path as it was, of each one of the dataset's."""
    spec = resolved.get("spec")
    dataset = spec.get("dataset") if isinstance(spec, Mapping) else None
    for place, then in _paths(resolved).items():
        role, _, option = place.partition(".")
        given = dataset.get(option) if isinstance(dataset, Mapping) else None
        if role == "dataset" and isinstance(given, str):
            yield place, Path(given), then


def _paths(resolved: Mapping[str, Any]) -> dict[str, Path]:
    paths = resolved.get("paths")
    named = paths.items() if isinstance(paths, Mapping) else ()
    return {place: Path(path) for place, path in named if isinstance(path, str) and os.path.isabs(path)}
