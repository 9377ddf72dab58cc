"""Where a run's files were: a relative path counts from the folder that the run was started in.

resolved.json has the spec with its paths as they were given, and in `paths`, by their places in it, where they were.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import FtrunError
from ftrun.spec.runspec import RunSpec


def recorded(spec: RunSpec) -> dict[str, str]:
    """Return each path among the options of the spec's parts, absolute, by its place: {"dataset.path": "/data/x"}."""
    return {
        f"{where}.{option}": str(path.absolute())
        for where, part in spec.parts()
        for option, path in part.paths().items()
    }


def restored(spec: RunSpec, resolved: Mapping[str, Any]) -> RunSpec:
    """Return the spec, each relative path where the run had it; or as it is from here, where only that is there.

    spec: as it was read from resolved.json, by nobody else: its parts are changed in place
    """
    paths = _paths(resolved)
    for where, part in spec.parts():
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
def telling_where(resolved: Mapping[str, Any]) -> Iterator[None]:
    """Have an error inside say where the run's data was, and what was looked for, if it is not there now."""
    try:
        yield
    except FtrunError as error:
        for place, given, then in _of_data(resolved):
            if not then.exists() and not given.exists():
                also = "" if given.absolute() == then else f", nor at {given.absolute()}"
                error.message += f"\n{place}: the run had it at {then}. There is nothing now{also}."
        raise


def same_data(spec: RunSpec, resolved: Mapping[str, Any]) -> bool:
    """Whether the spec's dataset reads what the run was trained on: the same part, and the same paths if it has any."""
    there = {str(path) for path in of_data(resolved)}
    here = {str(path.absolute()) for path in spec.dataset.paths().values()}
    named = (resolved["spec"].get("dataset") or {}).get("name")
    return spec.dataset.name == named and (
        here == there if there else spec.resolved()["dataset"] == resolved["spec"]["dataset"]
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
