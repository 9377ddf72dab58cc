"""The run folder: readable without ftrun, never overwritten."""

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftrun.errors import FtrunError, SpecError


class RunFolder:
    """`runs/<name>-<n>/`, or the folder that `--out` names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, out: Path | None, name: str) -> "RunFolder":
        """A new folder: `out`, which must not exist, or the next free `runs/<name>-<n>`."""
        if out is not None:
            check_new(out)
            with writing(out):
                out.mkdir(parents=True)
            return cls(out)
        runs = Path("runs")
        with writing(runs):
            runs.mkdir(exist_ok=True)
            number = max((_number(each.name, name) for each in runs.iterdir()), default=0) + 1
            while True:  # another run may take the number first
                try:
                    (runs / f"{name}-{number}").mkdir()
                except FileExistsError:
                    number += 1
                else:
                    return cls(runs / f"{name}-{number}")

    @property
    def checkpoints(self) -> Path:
        """Where `best` and `last` are."""
        return self.path / "checkpoints"

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole: a reader sees the old text or the new one, never a part."""
        write_whole(self.path / name, text)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole."""
        self.write_text(name, to_json(value))

    def append_line(self, name: str, line: str) -> None:
        """Add a line to a file."""
        with writing(self.path / name), (self.path / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def append_metrics(self, metrics: Mapping[str, float]) -> None:
        """Add an epoch's line to metrics.jsonl."""
        self.append_line("metrics.jsonl", json.dumps(_finite(metrics)))

    def write_status(self, state: str, *, epoch: int, step: int, reason: str = "") -> None:
        """Say where the run is: running, finished, interrupted, failed or diverged."""
        self.write_json("status.json", {"state": state, "epoch": epoch, "step": step, "reason": reason})


def to_json(value: Any) -> str:
    """`value` as an indented JSON text."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no number for: NaN and the infinities."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_new(out: Path) -> None:
    """Raise SpecError where `--out` names something that exists."""
    if out.exists() or out.is_symlink():
        raise SpecError(f"--out {out}: exists already, and a run never overwrites. Name another folder, or remove it.")


def _number(folder: str, name: str) -> int:
    match = re.fullmatch(re.escape(name) + r"-(\d+)", folder)
    return int(match[1]) if match else 0


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, sync it, and rename it into place."""
    beside = path.with_name(f".{path.name}.new")
    with writing(path):
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one message what could not be written and why; safetensors' errors are the system's in other clothes."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else _os_error(error)
        if number is None:
            raise
        raise FtrunError(f"{path}: cannot be written: {os.strerror(number)}.{_remedy(number)}") from error


def _os_error(error: Exception) -> int | None:
    match = re.search(r"os error (\d+)", str(error))
    return int(match[1]) if match else None


def _remedy(number: int) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return " Free some space, or let --out name a folder elsewhere. What was saved before is still valid."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return " Let --out name a folder that you may write to."
    if number in (errno.EEXIST, errno.ENOTDIR):
        return " Something else is in the way: remove it, or let --out name another folder."
    return ""
