"""What was the fastest setting here is kept in the cache, for the next run of the same net and batch."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from ftrun.data import cachefolder

if TYPE_CHECKING:
    from ftrun.train.tuning import ComputeFormat

_SHELF = "speed"  # of the cache


def recall(name: str, settings: "list[ComputeFormat]") -> "ComputeFormat | None":
    """Return what was the fastest of these, as it was kept under a name; None where nothing was."""
    cache = cachefolder.place()
    if cache is None:
        return None
    try:
        about = json.loads((cache / _SHELF / name).read_text(encoding="utf-8"))
        kept = about["precision"], about["memory_format"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return next((each for each in settings if (each.precision, each.memory_format) == kept), None)


def remember(
    name: str, chosen: "ComputeFormat", seconds: "Mapping[ComputeFormat, float]"
) -> "tuple[ComputeFormat, bool]":
    """Write it down, and return what is to be used, what another run has found if it was quicker, and whether it is."""
    if cachefolder.place() is None:
        return chosen, False
    about = {**asdict(chosen), "seconds": {str(each): value for each, value in seconds.items()}}
    try:
        folder = cachefolder.shelf(_SHELF)
        new = folder / cachefolder.new_name(name)
        new.write_text(json.dumps(about), encoding="utf-8")
        with suppress(FileExistsError):
            os.link(new, folder / name)
        new.unlink()
    except OSError:
        return chosen, False
    return recall(name, list(seconds)) or chosen, True
