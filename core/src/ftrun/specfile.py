"""Reading a spec file, and changing it with `--set`."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ftrun.errors import SpecError, did_you_mean


def read_spec(path: Path, commands: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
    """A spec file's text and the object in it. Raises SpecError with line and column where it is not JSON.

    commands: names that might have been meant where there is no such file
    """
    text = _read_text(path, commands)
    try:
        data = json.loads(text, object_pairs_hook=_no_repeated_keys, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}: not JSON: {error}.") from None
    if not isinstance(data, dict):
        raise SpecError(f"{path}: a spec is a JSON object, {{...}}, but this is {_kind(data)}.")
    return text, data


def _read_text(path: Path, commands: Sequence[str]) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        names = [str(each) for each in path.parent.glob("*.json")] if path.parent.is_dir() else []
        raise SpecError(f"{path}: no such file.{did_you_mean(str(path), [*commands, *names])}") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text (byte {error.start}).") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(f"{path}: cannot be read: {reason}.") from None


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    repeated = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
    if repeated is not None:
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def parse_set(assignment: str) -> tuple[list[str], str]:
    """`a.b=value` as its path and its raw value."""
    key, equals, raw = assignment.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise SpecError(f"--set {assignment}: give it as KEY=VALUE, such as optimizer.lr=0.01.")
    return path, raw


def json_or_text(raw: str) -> Any:
    """The value of a `--set`: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(raw, object_pairs_hook=_no_repeated_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return raw


def set_value(data: Any, path: Sequence[str], value: Any, *, where: str) -> None:
    """Put `value` at `path` in `data`, making the objects on the way."""
    for step, following in pairwise(path):
        if isinstance(data, dict):
            data = data.setdefault(step, [] if following == "0" else {})
        else:
            data = data[_index(data, step, where)]
    last = path[-1]
    if isinstance(data, dict):
        data[last] = value
    elif isinstance(data, list) and last == str(len(data)):
        data.append(value)
    else:
        data[_index(data, last, where)] = value


def _index(data: Any, step: str, where: str) -> int:
    if not isinstance(data, list):
        raise SpecError(
            f"--set {where}: {step!r} cannot be set, because what holds it is neither an object nor a list."
        )
    if not (step.isascii() and step.isdigit() and int(step) < len(data)):
        raise SpecError(f"--set {where}: {step!r} is no place in a list of {len(data)}; the first is 0.")
    return int(step)
