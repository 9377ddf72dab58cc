"""Whether a run's data is what it was: its targets, its splits, and fingerprints of what is in them."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter

from ftrun.contracts.data import Splits
from ftrun.contracts.errors import DataError
from ftrun.contracts.targets import Target
from ftrun.data import fingerprint
from ftrun.runs import places
from ftrun.runs.progress import Progress

ALLOW = "--allow-other-data"


def fingerprints(splits: Splits, names: Collection[str] | None = None) -> dict[str, dict[str, str | None]]:
    """Return by split what tells its content from any other: {"inputs": .., "targets": ..}.

    `targets` is the SHA-256 of all targets. `inputs` is null where a split has no fingerprint; `sample` is then the
    digest of a few inputs, spread over the split, or null where they cannot be read or are others each time.

    names: the splits whose inputs are of interest; `inputs` of others is left out
    """
    found: dict[str, dict[str, str | None]] = {}
    for name, split in splits.items():
        found[name] = {"targets": fingerprint.of_targets(split)}
        if names is None or name in names:
            found[name]["inputs"] = fingerprint.of_inputs(split)
            if found[name]["inputs"] is None:
                found[name]["sample"] = fingerprint.of_sample(split)
    return found


def check(
    resolved: Mapping[str, Any],
    splits: Splits,
    way_out: str,
    *,
    names: Collection[str] | None = None,
    allowed: bool = False,
) -> tuple[Splits, list[str]]:
    """Compare a run's data with what resolved.json says of it; return it in the run's terms, and what has changed.

    In the run's terms: values keep the mean and deviation that the net has learnt with.

    names: the splits whose inputs are of interest; all if not given
    allowed: whether other content is no error; another number of samples, or other classes, always are

    Raises DataError, ending with `way_out`, where it is not the run's.
    """
    targets: dict[str, Target] = TypeAdapter(dict[str, Target]).validate_python(resolved["targets"])
    then = {"targets": _kinds(targets), "samples": resolved.get("samples")}
    now = {"targets": _kinds(splits.targets), "samples": {name: len(split) for name, split in splits.items()}}
    for what, before in then.items():
        if before != now[what]:
            raise DataError(
                f"the data is not what this run began with: its {what} were {before}, and are {now[what]}."
                f"{_origin(resolved)} {way_out}"
            )
    changed = changes(resolved.get("data"), fingerprints(splits, names))
    if changed and not allowed:
        raise DataError(
            f"the data is not what this run began with: {'; '.join(changed)}.{_origin(resolved)} {way_out} To go "
            f"on with it all the same: {ALLOW}."
        )
    return splits.with_targets(targets), changed


def _kinds(targets: Mapping[str, Target]) -> dict[str, Any]:
    """Return what each target is, without what is learnt from the training samples."""
    return {name: {"kind": target.kind, "names": list(target.names)} for name, target in targets.items()}


def replaced(resolved: Mapping[str, Any], now: Mapping[str, Any], changed: list[str], step: int) -> dict[str, Any]:
    """Return what resolved.json is to say of data that was changed at a step: nothing where it was not.

    now: what resolved.json would say of a run that begins now
    """
    if not changed:
        return {}
    earlier = [*(resolved.get("other_data") or []), {"until_step": step, "data": resolved.get("data")}]
    change = f"From step {step} on, the data is not what it was before: {'; '.join(changed)}."
    notes = [*dict.fromkeys([*(resolved.get("notes") or []), *now["notes"], change])]  # card and report state them
    return {"data": now["data"], "class_counts": now["class_counts"], "other_data": earlier, "notes": notes}


def best_is_of_other_data(resolved: Mapping[str, Any], progress: Progress) -> bool:
    """Return whether the best epoch so far was chosen on other val samples than there are now."""
    if not progress.best_epoch:
        return False
    step = progress.history[progress.best_epoch - 1]["step"]
    earlier = (each for each in resolved.get("other_data") or () if step <= each["until_step"])
    return any(change.startswith("val ") for each in earlier for change in changes(each["data"], resolved["data"]))


def changes(then: Any, now: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    """Return what differs, such as "train: other inputs and targets", as far as both sides tell."""
    found = []
    for name, here in now.items():
        before = then.get(name) if isinstance(then, Mapping) else None
        if not isinstance(before, Mapping):
            continue
        differing = [what for what in ("inputs", "sample", "targets") if _differs(before.get(what), here.get(what))]
        what = " and ".join(dict.fromkeys("inputs" if each == "sample" else each for each in differing))
        if what:
            found.append(f"{name} has other {what}")
    return found


def untold(now: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    """Return the splits of whose inputs nothing tells whether they are the run's."""
    return [name for name, here in now.items() if "sample" in here and here["sample"] is None]


def _differs(before: Any, here: str | None) -> bool:
    return isinstance(before, str) and here is not None and before != here


def _origin(resolved: Mapping[str, Any]) -> str:
    paths = places.of_data(resolved)
    return f" The run read it from {', '.join(paths)}." if paths else ""
