"""Single samples: their truth, what the net predicts, and what they look like."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ftrun import FtrunError, InputSpec, Split, Target

MOST = 24
"""Most examples of a kind, for each target."""
_BUDGET = 1_400_000
"""Most characters that all pictures and texts of a page may take."""
_TEXT = 400
"""Most characters of a text that are shown."""


@dataclass(frozen=True)
class Shown:
    """What a sample looks like: a picture as a data URI, or a text."""

    picture: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Example:
    """A sample: its index in its split, and for people the truth, the prediction, and how sure or far off it is.

    right: None where that is a matter of degree
    """

    sample: int
    true: str
    predicted: str
    note: str
    right: bool | None = None
    shown: Shown | None = None
    name: str | None = None
    """What people call it: a file's name."""


class Pictures:
    """What shows samples, for as long as the page has room.

    split, input: what the samples are of; None where the data is not at hand
    """

    def __init__(self, split: Split | None, input: InputSpec | None) -> None:  # noqa: A002  (the contract's word)
        self._split = split
        self.input = input
        """How the net's inputs are prepared: of images, `input.size` is the height and width that the net sees."""
        self._room = _BUDGET
        self._known: dict[int, Shown | None] = {}

    def add(self, examples: list[Example]) -> list[Example]:
        """Return the same, with what they look like and are called."""
        return [replace(each, shown=self._of(each.sample), name=self._name(each.sample)) for each in examples]

    def picture(self, sample: int) -> str | None:
        """Return a sample's picture as a data URI; None where it has none, or the page has no room left."""
        shown = self._of(sample)
        return shown.picture if shown else None

    def _name(self, sample: int) -> str | None:
        named = getattr(self._split, "sample_name", None)
        try:
            return named(sample) if named else None
        except (FtrunError, OSError):  # of a table that is gone, say
            return None

    def _of(self, sample: int) -> Shown | None:
        if sample not in self._known:
            self._known[sample] = self._look(sample)
        shown = self._known[sample]
        size = len(shown.picture or shown.text or "") if shown else 0
        if size > self._room:
            return None
        self._room -= size
        return shown

    def _look(self, sample: int) -> Shown | None:
        if self._split is None or self.input is None:
            return None
        try:
            raw, _ = self._split[sample]
            found = self.input.preview(raw)
        except Exception:  # one that cannot be read, or shown, is left out
            return None
        if isinstance(found, bytes):
            kind = _kind(found)
            return Shown(picture=f"data:{kind};base64,{base64.b64encode(found).decode()}") if kind else None
        if isinstance(found, str):
            return Shown(text=found if len(found) <= _TEXT else f"{found[:_TEXT]}…")
        return None


def same_samples(split: Split, ids: Tensor, truth: Mapping[str, Any], targets: Mapping[str, Target]) -> bool:
    """Return whether the samples with these indices have the truth that the predictions were evaluated with.

    That is known of targets that are columns; of others only that there are some, where inputs need not be read for it.
    """
    if not len(ids):
        return True
    if int(ids.max()) >= len(split):
        return False
    columns: Mapping[str, Any] = getattr(split, "columns", {})
    values_at = getattr(split, "values", None)
    known = truth.keys() if values_at is None else {*columns, *values_at(int(ids[0]))}
    return truth.keys() <= known and all(
        bool(targets[name].same(columns[name][ids], values).all()) for name, values in truth.items() if name in columns
    )


def _kind(file: bytes) -> str | None:
    """Return the kind of a picture by its first bytes: no other kinds, which might hold more than a picture."""
    if file.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/jpeg" if file.startswith(b"\xff\xd8\xff") else None


def spread(count: int, most: int, seed: int) -> list[int]:
    """Return at most so many of `count` positions, drawn at random, in order; always the same ones."""
    import torch

    drawn: Any = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most]
    return sorted(drawn.tolist())
