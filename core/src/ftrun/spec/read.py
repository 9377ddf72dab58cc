"""A spec with all that it takes to run it, from a file or from an object in memory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import Mistake, SpecError
from ftrun.contracts.paths import expand_path
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.plugins.load import LOADING
from ftrun.plugins.localparts import PartsFile
from ftrun.spec.check import InvalidSpec, check_spec
from ftrun.spec.runspec import RunSpec
from ftrun.spec.specfile import parts_named, read_spec

_IN_MEMORY = "spec"


@dataclass(frozen=True)
class CheckedSpec:
    """A spec that is right."""

    name: str
    """What its runs are called: the file's stem; `spec` where it came from no file."""
    text: str
    """As it was given."""
    spec: RunSpec
    catalogue: Catalogue


def checked(
    given: Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    parts: PartsFile | None = None,
    commands: Sequence[str] = (),
) -> CheckedSpec:
    """Read a spec and check it against what is installed. Raises SpecError with all its mistakes, and PluginError.

    given: the file, or what it would hold
    overrides: KEY=VALUE, as `--set` takes them
    parts: local parts, in place of those that the spec names
    commands: names that might have been meant where there is no such file
    """
    if isinstance(given, Path):
        name, title, folder = given.stem, str(given), given.parent
        text, data = read_spec(given, commands)
    else:
        name, title, folder = _IN_MEMORY, _IN_MEMORY, Path()
        text = _as_text(given)
        data = json.loads(text)
    with LOADING:
        catalogue = installed(parts or _parts_named(title, folder, data, overrides))
        return CheckedSpec(name, text, check_spec(data, catalogue, name=title, overrides=overrides), catalogue)


def _as_text(given: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(given), indent=2, ensure_ascii=False, default=_plain, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise SpecError(f"{_IN_MEMORY}: cannot be written as JSON: {error}.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is {type(value).__name__}")


def _parts_named(title: str, folder: Path, data: dict[str, Any], overrides: Sequence[str]) -> PartsFile | None:
    """Return the file of local parts that a spec names, relative to the folder that the spec is in."""
    name = parts_named(data, tuple(overrides))
    try:
        return PartsFile.read(folder / expand_path(name)) if name else None
    except SpecError as error:
        raise InvalidSpec(title, [Mistake("parts", str(error))]) from None
