"""Names of classes and labels as cells have them: which spellings are one name, and which look wrong.

Merged, because they are one name to everyone who reads them: forms of Unicode (NFC), signs that are not seen, kinds of
blanks, 1 and 1.0, true and TRUE, and true and 1 where a column has both. Nothing else is.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import category, normalize

import ftrun

if TYPE_CHECKING:
    from torch import Tensor

FEW = 1000  # classes: as many as that are never taken for something else, unless they are numbers
_FEW_NUMBERS = 10

# Zero-width blanks, marks of byte order and of direction, soft hyphens. Joiners mean something in some scripts.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
    "|(?<![^\x00-\u024f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\u024f])"
)
_WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")
_NOTHING = frozenset(
    ("nan", "none", "null", "na", "n/a", "<na>", "nat", "nil", "#n/a", "#na", "#null!", "#ref!", "#value!", "#div/0!")
)
_LIST = re.compile(r"[\[({].*['\",].*[\])}]|\[\]|\{\}|\(\)", re.DOTALL)
_SEPARATORS = ",;|/\t\n"
_FEW_FRACTIONS = 20


def cleaned(cell: str) -> str:
    """Return the name that a cell has: in NFC, without signs that are not seen, with plain blanks, none around it."""
    if cell.isascii():
        return cell.strip()
    seen = _UNSEEN.sub("", normalize("NFC", cell))
    return "".join(" " if category(each) == "Zs" else each for each in seen).strip()


def means_nothing(cell: str) -> bool:
    """Return whether tools write this where there is no value: nan, None, NULL, N/A, ..."""
    return cell.strip().lower() in _NOTHING


class Names:
    """Numbers for names, in the order in which they are met."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._codes: dict[str, int] = {}  # of a cell as it stands there
        self._of_name: dict[str, int] = {}
        self._unseen: dict[str, list[str]] = {}  # by name, cells with signs that are not seen

    def code(self, cell: Any) -> int:
        """The number of a cell's name. Raises ValueError for what is no name."""
        if not isinstance(cell, str):
            cell = _name(cell)
        code = self._codes.get(cell)
        if code is None:
            name = cleaned(cell)
            if not name or not encodable(name):
                raise ValueError(f"has {shown(cell)} where a name is expected.")
            if normalize("NFC", cell.strip()) != name:
                self._unseen.setdefault(name, []).append(cell)
            code = self._codes[cell] = self._of_name.setdefault(name, len(self._of_name))
        return code

    def sorted(self, codes: "Tensor") -> "tuple[tuple[str, ...], Tensor]":
        """The names of those numbers, sorted; and int64 [numbers], where in it each number is: -2 where it is not."""
        import torch

        every = list(self._of_name)
        one_name = {each: spellings[0] for spellings in self._groups() for each in spellings}
        used = {one_name[every[code]] for code in codes.unique().tolist()}
        names = tuple(sorted(used))
        place_of = {name: place for place, name in enumerate(names)}
        return names, torch.tensor([place_of.get(one_name[name], -2) for name in every], dtype=torch.int64)

    def merged(self, codes: "Tensor") -> "Tensor":
        """The numbers, int64 [M], with one for all spellings of a name; -1 stays."""
        import torch

        every = torch.empty(len(self._of_name) + 1, dtype=torch.int64)
        every[-1] = -1
        for spellings in self._groups():
            for each in spellings:
                every[self._of_name[each]] = self._of_name[spellings[0]]
        return every[codes]

    def notes(self, names: Sequence[str], counts: Sequence[int], missing: Collection[str]) -> list[str]:
        """What a user has to know of the names: which spellings are one, and which mean nothing.

        names: as `sorted` gives them; counts: training rows of each; missing: cells that mean that there is no value
        """
        notes = []
        for spellings in self._groups():
            unseen = [each for name in spellings for each in self._unseen.get(name, ())]
            if len(spellings) > 1 or (unseen and any(spelled not in unseen for spelled in self._cells(spellings[0]))):
                others = ", ".join(map(shown, dict.fromkeys([*spellings[1:], *unseen])))
                notes.append(f"target {self.target!r}: {others} and {shown(spellings[0])} are taken for one class")
        empty = [(name, count) for name, count in zip(names, counts, strict=True) if name.lower() in _NOTHING]
        if empty:
            listed = ", ".join(f"{name!r} ({count:,} rows)" for name, count in empty)
            cells = json.dumps([*missing, *(name for name, _ in empty)], ensure_ascii=False)
            notes.append(
                f"target {self.target!r}: {listed} are names here as others are. If they mean that there is no value, "
                f"set `missing` to {cells}"
            )
        if len(names) > _FEW_FRACTIONS and all(map(_is_number, names)) and not all(map(_WHOLE_NUMBER.fullmatch, names)):
            notes.append(
                f"target {self.target!r}: all {len(names):,} classes are numbers, such as {names[0]}. Numbers to be "
                "predicted are of the kind values"
            )
        return notes

    def check_many(self, column: str, rows: int) -> None:
        """Raise DataError where nearly each of the rows has a name of its own.

        rows: how many have a name
        """
        names = len(self._of_name)
        numbers = names > max(_FEW_NUMBERS, rows // 2) and all(map(_is_number, self._of_name))
        if numbers or names > max(FEW, rows // 2):
            raise ftrun.DataError(
                f"target {self.target!r}: {names:,} classes in {rows:,} rows are nearly one each. Is {column!r} the "
                "right column? Numbers to be predicted are of the kind values."
            )

    def several_in_one(self, separator: str) -> tuple[str, str] | None:
        """Return a name that looks like several labels, for a message, and what to do; None where there is none."""
        return _joined(self._of_name, separator)

    def _groups(self) -> list[list[str]]:
        """The spellings of each name, that which stands for all first."""
        groups = ftrun.grouped_spellings(self._of_name)
        return [sorted(each, key=lambda name: (len(name), name.swapcase())) for each in groups]

    def _cells(self, name: str) -> Iterable[str]:
        return (cell for cell, code in self._codes.items() if code == self._of_name[name])


def _joined(names: Collection[str], separator: str) -> tuple[str, str] | None:
    """A name that looks like several, and what to do; None where there is none."""
    lists = [name for name in names if _LIST.fullmatch(name)]
    if lists and len(lists) * 2 > len(names):
        return shown(lists[0]), (
            f"is a list as Python or JSON writes it. Write its labels with {separator!r} between them, as in "
            f"df[column].str.join({separator!r})."
        )
    for other in _SEPARATORS:
        if other == separator:
            continue
        parts = {name: {part.strip() for part in name.split(other)} for name in names}
        met = Counter(part for each in parts.values() for part in each)
        for name, each in parts.items():
            if len(each) > 1 and any(part and met[part] > 1 for part in each):
                return shown(name), (
                    f"looks like several labels with {other!r} between them, but `separator` is {separator!r}. Set it "
                    f"to {other!r}, or to {separator!r} if these are labels as they stand."
                )
    return None


def _name(cell: Any) -> str:
    if isinstance(cell, bool | int | float):
        return json.dumps(cell)
    raise ValueError(f"has {shown(cell)} where a name is expected.")


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def encodable(text: str) -> bool:
    """Whether it is text, without half of a surrogate pair, as JSON can have it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(cell: Any) -> str:
    """Return a cell for a message: quoted, short, with signs that are not seen as escapes."""
    text = ascii(cell) if isinstance(cell, str) and not cell.isprintable() else repr(cell)
    return text if len(text) <= 40 else f"{text[:37]}..."
