"""Names of classes and labels that a user may take for one."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from unicodedata import category, normalize


def twins(names: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """Yield a note on names that differ in case, blanks or signs that are not seen alone, or are one number."""
    alike: dict[str | Decimal, list[int]] = {}
    for index, name in enumerate(names):
        alike.setdefault(_plain(name), []).append(index)
    for plain, indices in alike.items():
        if len(indices) > 1:
            listed = " and ".join(f"{shown_name(names[index])} ({counts[index]:,} in train)" for index in indices)
            how = "differ in case, blanks or unseen signs alone" if isinstance(plain, str) else "are one number"
            yield f"{listed} {how}, and are {len(indices)} classes"


def shown_name(name: str) -> str:
    """Return a name in quotes, with signs that are not seen written out."""
    return repr(name) if name.isprintable() else ascii(name)


def _plain(name: str) -> str | Decimal:
    """Return what is equal for names that look alike, or are one number: 1, 01, 1e0."""
    try:
        if (number := Decimal(name)).is_finite():
            return number
    except InvalidOperation:
        pass
    seen = "".join(each for each in normalize("NFKC", name) if category(each) != "Cf")
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", seen).strip().casefold()
