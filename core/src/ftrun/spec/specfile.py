"""Reading a spec file, and changing it with `--set`."""

import json
import math
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ftrun.contracts.errors import SpecError, did_you_mean
from ftrun.spec import notjson

T = TypeVar("T", bound=BaseModel)

_DEEPEST = 50  # levels; the parsers that come after Python's own stop at 200
_LONGEST = 100  # digits
_LARGEST = 10**7  # bytes; a device may have no end
_TOO_DEEP = f"more than {_DEEPEST} objects and lists stand inside each other"


def read_spec(path: Path, commands: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
    """Return a spec file's text and the object in it. Raises SpecError with line and column where it is not JSON.

    commands: names that might have been meant where there is no such file
    """
    text = _read_text(path, commands)
    try:
        data = _parse(text)
    except json.JSONDecodeError as error:
        position, reason = notjson.explain(text, error)
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
        raise SpecError(f"{path}:{line}:{column}: not JSON: {reason}.") from None
    except ValueError as error:
        raise SpecError(f"{path}: {error}.") from None
    if not isinstance(data, dict):
        raise SpecError(f"{path}: a spec is a JSON object, {{...}}, but this is {_kind(data)}.")
    return text, data


def _read_text(path: Path, commands: Sequence[str]) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise SpecError(f"{path}: more than {_LARGEST // 10**6} MB, which no spec has.")
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        specs = {each.stem: str(each) for each in path.parent.glob("*.json")}
        near = get_close_matches(path.stem, specs, n=1)  # the suffix alone makes no likeness
        hint = did_you_mean(str(path), commands) or did_you_mean(str(path), [specs[stem] for stem in near])
        raise SpecError(f"{path}: no such file.{hint}") from None
    except UnicodeDecodeError as error:
        wide = (
            " It begins as UTF-16 does: save it as UTF-8." if content.startswith((BOM_UTF16_BE, BOM_UTF16_LE)) else ""
        )
        raise SpecError(f"{path}: not UTF-8 text (byte {error.start}).{wide}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(f"{path}: cannot be read: {reason}.") from None


def _parse(text: str) -> Any:
    """Return a JSON text's value. Raises ValueError for what is not JSON, and for what a spec has no use for.

    Python takes more than others do: repeated keys, NaN, halves of surrogate pairs, thousands of digits.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_no_repeated_keys, parse_constant=_no_constant, parse_int=_no_huge_integer
        )
        _check_depth_and_text(value, _DEEPEST)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return value


def _check_depth_and_text(value: Any, levels: int) -> None:
    if not levels:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, str) and not is_text(value):
        raise ValueError(f"{value!a} is not Unicode text: it holds half of a surrogate pair")
    if isinstance(value, dict):
        _check_depth_and_text(list(value), levels)
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            _check_depth_and_text(each, levels - 1)


def is_text(value: str) -> bool:
    """Return whether all of it is Unicode text: no half of a surrogate pair, no byte that a terminal could not read."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_huge_integer(digits: str) -> int:
    if len(digits) > _LONGEST:
        raise ValueError(f"{digits[:10]}... has {len(digits)} digits, which is too many")
    return int(digits)


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    repeated = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
    if repeated is not None:
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"not JSON: it has no {name}")


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def parse_set(assignment: str, *, example: str = "optimizer.lr=0.01") -> tuple[list[str], str]:
    """Return the path and the raw value of `a.b=value`; example: what an error shows."""
    key, equals, raw = assignment.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise SpecError(f"--set {assignment}: give it as KEY=VALUE, such as {example}.")
    if not is_text(assignment):
        raise SpecError(f"--set {assignment!a}: not UTF-8 text.")
    return path, raw


def parts_named(data: dict[str, Any], overrides: Sequence[str]) -> str | None:
    """Return the file of local parts that a spec names, `--set` included; None for what is no name: a check says so."""
    named = data.get("parts")
    for assignment in overrides:
        path, raw = parse_set(assignment)
        if path == ["parts"]:
            value = json_or_text(raw)
            named = value if isinstance(value, str) or value is None else raw
    return named if isinstance(named, str) and named else None


def json_or_text(raw: str) -> Any:
    """Return the value of a `--set`: JSON where it is JSON, a number as people write one (.5, +5), else the text."""
    try:
        return _parse(raw)
    except ValueError:
        number = notjson.number(raw) if len(raw) <= _LONGEST else None
        return raw if number is None or not math.isfinite(number) else number


def spec_name(part: str) -> str | None:
    """Return the name of a part that the command line names: "csv", "timm/resnet18", or a JSON object's `name`."""
    value = json_or_text(part)
    name = value.get("name") if isinstance(value, dict) else value
    return name.partition("/")[0] if isinstance(name, str) else None


def set_value(data: Any, path: Sequence[str], value: Any, *, where: str) -> None:
    """Put `value` at `path` in `data`, making the objects on the way."""
    for step, following in pairwise(path):
        if isinstance(data, dict):
            if data.get(step) is None:
                data[step] = [] if following.isdecimal() else {}
            data = data[step]
        else:
            data = data[_index(data, step, where)]
    last = path[-1]
    if isinstance(data, dict):
        data[last] = value
    elif isinstance(data, list) and last == str(len(data)):
        data.append(value)
    else:
        data[_index(data, last, where)] = value


def validated(
    model: type[T],
    data: dict[str, Any],
    raw: Mapping[tuple[str, ...], str],
    place: Callable[[Any], tuple[str, ...]],
    context: Mapping[str, Any] | None = None,
) -> T:
    """Return `data` as a model, in strict JSON mode: "2" is no number, and lists are tuples.

    `--set name=5` is the text "5" where text is wanted, and `--set key=null` leaves out a key that cannot be null.

    raw: the text of each value that `--set` has put into the data, by its path, as `parse_set` gives them
    place: the path in the data of one of pydantic's errors
    context: pydantic's own

    Raises ValidationError.
    """
    try:
        return model.model_validate_json(json.dumps(data), context=context)
    except ValidationError as error:
        wrong = {place(each): each["type"] for each in error.errors()}
        again = False
        for path in (path for path in raw if path in wrong):
            if wrong[path] in ("string_type", "path_type"):
                set_value(data, path, raw[path], where=".".join(path))
                again = True
            elif raw[path].strip() == "null":
                again = _removed(data, path) or again
        if not again:
            raise
    return model.model_validate_json(json.dumps(data), context=context)


def _removed(data: Any, path: Sequence[str]) -> bool:
    """Take the key at `path` out of the object that holds it, and return whether it was in one."""
    for step in path[:-1]:
        data = data[int(step)] if isinstance(data, list) else data[step]
    if not isinstance(data, dict) or path[-1] not in data:
        return False
    del data[path[-1]]
    return True


def _index(data: Any, step: str, where: str) -> int:
    if not isinstance(data, list):
        raise SpecError(
            f"--set {where}: {step!r} cannot be set, because what holds it is neither an object nor a list."
        )
    if step not in map(str, range(len(data))):
        raise SpecError(f"--set {where}: a list of {len(data)} has no place {step!r}; places count from 0.")
    return int(step)
