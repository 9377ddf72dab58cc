"""Names that are spelled in several ways, as tools write one value: 1 and 1.0, true and TRUE. Loads nothing heavy."""

import re
from collections.abc import Iterable

_WHOLE = re.compile(r"(-?\d+)\.0+")
_BOOLEANS = {"false": "0", "true": "1"}


def grouped_spellings(names: Iterable[str]) -> list[list[str]]:
    """Return the names in groups of one value each: 1 and 1.0; true and TRUE; true and 1 where 0 or 1 is a name too."""
    names = dict.fromkeys(names)
    bits = "0" in names or "1" in names
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_key(name, bits), []).append(name)
    return list(groups.values())


def _key(name: str, bits: bool) -> str:
    """Return what is equal for spellings of one name. bits: whether true and false are 1 and 0."""
    if whole := _WHOLE.fullmatch(name):
        return whole[1]
    lower = name.lower()
    if lower in _BOOLEANS:
        return _BOOLEANS[lower] if bits else lower
    return name
