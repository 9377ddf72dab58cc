"""What is to be known of image files before any of them is learnt from; a few bytes tell it of most of them."""

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from PIL import Image

from ftrun import DataError, is_special
from ftrun.commands import printable
from ftrun_inputs.imagefile import FORMATS, is_deep, quiet, read_image

T = TypeVar("T")

_RANGES = (255, 1023, 4095, 16383, 65535)
_DARK = 16
"""An image is nearly black where nothing in it is brighter than this part of white."""
_LARGE = 2**26
"""Pixels of a large image: 67 million."""
_PORTION = 256
_HEAD = 1024
_SMALL = 500_000
"""Bytes below which a JPEG or WebP file holds no large image, but for one of a single colour."""


_IN_8_BITS, _UNREADABLE = -1, -2


class _Look(NamedTuple):
    """What the head of a file says; the least of it where it says nothing."""

    deep: bool = False
    several: bool = False
    pixels: int = 0


@dataclass(frozen=True)
class Survey:
    """What there is among some image files."""

    deep: dict[str, int]
    """The brightest value of each image of 16 bits a channel."""
    upper: list[str]
    """Images of 16 bits a channel of which only the upper 8 are read."""
    several: list[str]
    """Images of several frames or pages."""
    large: list[str]

    @property
    def white(self) -> int | None:
        """The end of the range that holds the brightest value; None where no image has 16 bits a channel."""
        brightest = max(self.deep.values(), default=None)
        return None if brightest is None else next(end for end in _RANGES if brightest <= end)

    def notes(self, white: int) -> list[str]:
        """Return a line on each of these kinds of images, if there are any. white: the value that is taken for it"""
        return [*self._on_deep(white), *self._on_others()]

    def _on_deep(self, white: int) -> Iterator[str]:
        if not self.deep:
            return
        reached = max(self.deep.values())
        line = (
            f"{_images(self.deep, '16-bit ')} with values up to {reached:,}: {white:,} is taken as the end of their "
            "range, which is white (input.white sets another)"
        )
        clipped = [path for path, value in self.deep.items() if value > white]
        dark = [path for path, value in self.deep.items() if value < white / _DARK]
        if clipped:
            line += f"; {_such(clipped)} brighter than that, and clipped"
        if dark:
            line += f"; {_such(dark)} nearly black then, below a {_DARK}th of that range"
        yield f"{line}."

    def _on_others(self) -> Iterator[str]:
        for paths, kind, what in (
            (self.upper, "16-bit ", "with transparency ({}): only the upper 8 bits are read."),
            (self.several, "", "of several frames or pages ({}): the first one is taken."),
            (self.large, "", f"of more than {_LARGE // 10**6} million pixels ({{}}): they take long and much memory."),
        ):
            if paths:
                yield f"{_images(paths, kind)} {what.format(_first(paths))}"


def survey(files: Iterable[str]) -> Survey:
    """Look at image files. One that cannot be read is left to whoever reads it."""
    paths = list(dict.fromkeys(files))
    seen = dict(zip(paths, _each(_look, paths), strict=True))
    deep = [path for path, each in seen.items() if each.deep]
    most = 2 * (Image.MAX_IMAGE_PIXELS or math.inf)  # beyond that Pillow reads none, which is an error of its own
    brightest = dict(zip(deep, _each(_brightest, deep), strict=True))
    return Survey(
        deep={path: value for path, value in brightest.items() if value >= 0},
        upper=[path for path, value in brightest.items() if value == _IN_8_BITS],
        several=[path for path, each in seen.items() if each.several],
        large=[path for path, each in seen.items() if _LARGE < each.pixels <= most],
    )


def _each(do: Callable[[str], T], paths: Sequence[str]) -> Iterator[T]:
    """What `do` gives for each path, in order, from threads: most of the time goes into waiting for files."""
    portions = [paths[start : start + _PORTION] for start in range(0, len(paths), _PORTION)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done in pool.map(lambda portion: [do(path) for path in portion], portions):
            yield from done


def _look(path: str) -> _Look:
    if is_special(path):
        return _Look()
    with suppress(OSError, ValueError), open(path, "rb") as file:  # ValueError: of a name that no file has
        head = file.read(_HEAD)
        if head.startswith(b"\x89PNG") and len(head) > 24:
            width, height = (int.from_bytes(head[at : at + 4]) for at in (16, 20))
            return _Look(head[24] > 8, b"acTL" in head.partition(b"IDAT")[0], width * height)
        small = os.fstat(file.fileno()).st_size < _SMALL
        moving = head[12:16] == b"VP8X" and head[20] & 2
        if small and (head.startswith((b"\xff\xd8", b"BM")) or (head[8:12] == b"WEBP" and not moving)):
            return _Look()
        return _opened(path)
    return _Look()


def _opened(path: str) -> _Look:
    with quiet, suppress(Exception), Image.open(path, formats=FORMATS) as image:  # of Pillow, for damaged files
        several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        return _Look(is_deep(image), several, image.width * image.height)
    return _Look()


def _brightest(path: str) -> int:
    """Return the brightest value of an image of 16 bits; less than 0 where it is read in 8, or not at all."""
    try:
        image = read_image(path)
    except DataError:
        return _UNREADABLE
    return int(image.int().max()) if image.dtype == torch.uint16 else _IN_8_BITS


def _images(paths: Collection[str], kind: str) -> str:
    return f"{len(paths):,} {kind}image{'' if len(paths) == 1 else 's'}"


def _such(paths: Sequence[str]) -> str:
    return f"{len(paths):,} of them ({_first(paths)}) {'is' if len(paths) == 1 else 'are'}"


def _first(paths: Sequence[str]) -> str:
    return printable(os.path.basename(paths[0])) + (", ..." if len(paths) > 1 else "")
