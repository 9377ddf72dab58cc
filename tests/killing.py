"""Kills runs by SIGKILL and resumes them, each in a process of its own; prints what came of it, as JSON.

python killing.py WHAT MOST: at most so many kills
operations  between any two operations on files, and halfway through each write
folders     the same, once for each file of the run folder and for each folder in it
fallback    the same where the system cannot exchange two names
looks       after each step and each batch of val and test
chains      the run and then its resumed ones, at random operations

This process imports torch once and never trains: its children are forked off, so that a kill costs milliseconds.
"""

import io
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401
from safetensors.torch import save_file, save_model

import ftrun_augment.images  # noqa: F401  (each child would import it anew, and the next line's too)
from ftrun.cli import main as ftrun
from ftrun.data import files
from ftrun.plugins.catalogue import installed
from ftrun.runs import checkpoint
from ftrun.runs.checkpoint import STATE, STATE_TENSORS, Damaged
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.train import begin
from ftrun.train.signals import Signals

SPEC = {
    "dataset": {"name": "tiny", "samples": 48, "val": True},
    "backbone": {"name": "tiny", "dropout": 0.2},
    "augment": ["horizontal-flip", {"name": "random-crop", "padding": 2}],
    "loss": "tiny-loss",
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    "scheduler": "cosine",
    "train": {"epochs": 3, "batch_size": 16, "checkpoint_minutes": 1e-9},
}
AVERAGED = {**SPEC, "train": {**SPEC["train"], "average": "ema"}}
SHORT = {**SPEC, "train": {**SPEC["train"], "epochs": 2}}
SELDOM = {**SPEC, "train": {"epochs": 3, "batch_size": 16}}  # a checkpoint at the end of each epoch, and when asked for

Line = tuple[str, ...]


class Watched:
    """Tells a pipe of each point at which a process could die, and of what was done; dies at the one it is told."""

    def __init__(self, pipe: int, die_at: int | None) -> None:
        self.pipe = pipe
        self.die_at = die_at
        self.points = 0

    def point(self, what: str, *paths: object, last_deed: Callable[[], Any] = lambda: None) -> None:
        self.points += 1
        self.tell("at", what, *paths)
        if self.points == self.die_at:
            last_deed()
            os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, *line: object) -> None:
        os.write(self.pipe, json.dumps([str(each) for each in line]).encode() + b"\n")


class CountedSignals(Signals):
    """A point to die at each time that the run looks for signals; asks for a checkpoint each few looks."""

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self.watched = watched

    @property
    def waiting(self) -> bool:
        self.watched.point("step")
        self.save_asked = self.save_asked or self.watched.points % 5 == 0
        return super().waiting

    def check(self) -> None:
        self.watched.point("batch")
        super().check()


def watch_files(watched: Watched, can_exchange: bool) -> None:
    """Put points around everything that ftrun does to files, in this process."""
    for name in ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir"):
        setattr(os, name, partial(_operation, watched, name, getattr(os, name)))
    io.open = partial(_open, watched, io.open)
    checkpoint.save_model = partial(_save, watched, save_model)
    checkpoint.save_file = partial(_save, watched, save_file)
    exchange = files.exchange if can_exchange else lambda one, other: False
    files.exchange = partial(_operation, watched, "exchange", exchange)


def _operation(watched: Watched, name: str, how: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    paths = [_path(each, **options) for each in arguments if not isinstance(each, int) or name == "fsync"]
    watched.point(name, *paths)
    result = how(*arguments, **options)
    if result is not False:
        watched.tell("done", name, *paths)
    return result


def _open(watched: Watched, how: Callable[..., Any], path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
    if not set(mode) & set("wax"):
        return how(path, mode, *rest, **options)
    watched.point("open", path)
    file = how(path, mode, *rest, **options)
    watched.tell("done", "write", path)
    file.write = partial(_write, watched, file)
    return file


def _write(watched: Watched, file: Any, text: Any) -> None:
    def half() -> None:
        type(file).write(file, text[: len(text) // 2])
        file.flush()

    watched.point("half of write", file.name, last_deed=half)
    type(file).write(file, text)
    file.flush()
    watched.tell("done", "write", file.name)


def _save(watched: Watched, how: Callable[..., None], what: Any, path: Any) -> None:
    watched.point("save", path)
    how(what, path)
    size = os.path.getsize(path)
    watched.point("half of save", path, last_deed=lambda: os.truncate(path, size // 2))
    watched.tell("done", "write", path)


def _path(of: Any, dir_fd: int | None = None, **_: Any) -> str:
    if isinstance(of, int):
        return os.readlink(f"/proc/self/fd/{of}") if sys.platform == "linux" else ""
    return os.path.join(_path(dir_fd), of) if dir_fd is not None else os.path.abspath(of)


def forked(task: Callable[..., None], *arguments: Any) -> tuple[list[Line], int]:
    """What a child told while it carried out `task`, and its exit code: -9 where it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            task(writing, *arguments)
            code = 0
        except SystemExit as error:
            code = error.code
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as lines:
        told = [tuple(json.loads(line)) for line in lines]
    return told, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Killer:
    """Kills and resumes runs of one spec in `place`."""

    def __init__(self, place: Path, spec: dict[str, Any], *, can_exchange: bool = True, looks: bool = False) -> None:
        self.place = place
        self.catalogue = installed()
        self.spec = check_spec(spec, self.catalogue)
        self.can_exchange = can_exchange
        self.looks = looks
        self.told, code = forked(self.train, place / "whole", None)
        assert code == 0, code
        self.whole = outcome(place / "whole")
        for name in self.told.pop()[1:]:  # by each child that is forked off from here on, too
            import_module(name)
        self.points = [line for line in self.told if line[0] == "at"]

    def train(self, pipe: int, folder: Path, die_at: int | None) -> None:
        request = begin.Request(self.spec, "spec", json.dumps(SPEC), (), self.catalogue, folder, "cpu")
        begin.run(request, self.watched(pipe, die_at))
        Watched(pipe, None).tell("imported", *(name for name in sys.modules if name.startswith("ftrun")))

    def resume(self, pipe: int, folder: Path, die_at: int | None = None) -> None:
        begin.resume(RunFolder.existing(folder), self.catalogue, None, None, self.watched(pipe, die_at))

    def watched(self, pipe: int, die_at: int | None) -> Signals | None:
        watched = Watched(pipe, die_at)
        if self.looks:
            return CountedSignals(watched)
        watch_files(watched, self.can_exchange)
        return None

    def kill(self, *points: int) -> dict[str, Any]:
        """Kill a run at the first of `points`, its resumed one at the second, and so on; then let it end."""
        folder = self.place / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        found: dict[str, Any] = {"points": points, "kills": []}
        had_checkpoint = False
        for task, point in zip([self.train] + [self.resume] * len(points), points, strict=False):
            told, code = forked(task, folder, point)
            had_checkpoint = had_checkpoint or any(
                line[0] == "done" and line[-1].endswith("/checkpoints/last") for line in told
            )
            at = next(" ".join(line[1:]) for line in reversed(told) if line[0] == "at")
            found["kills"].append({"at": at, "code": code, **after_kill(folder), "had_checkpoint": had_checkpoint})
            if code != -signal.SIGKILL or not begun(folder) or finished(folder):
                break
        if not begun(folder):
            return {**found, "end": "nothing to resume", "code": forked(refused, folder)[1]}
        if finished(folder):
            return {**found, "end": "finished before", "code": 0, "equal": outcome(folder) == self.whole}
        _, code = forked(self.resume, folder)
        return {**found, "end": "resumed", "code": code, "equal": code == 0 and outcome(folder) == self.whole}


def refused(_: int, folder: Path) -> None:
    ftrun(["resume", str(folder)])


def begun(folder: Path) -> bool:
    return (folder / "resolved.json").exists()


def finished(folder: Path) -> bool:
    return RunFolder(folder).read_status().get("state") == "finished"


def after_kill(folder: Path) -> dict[str, Any]:
    """What a kill has left: the run's state, and the checkpoints that are good, missing or damaged."""
    states = {name: _checkpoint(folder / "checkpoints" / name) for name in ("last", "previous")}
    return {**states, "state": RunFolder(folder).read_status().get("state")}


def _checkpoint(place: Path) -> str:
    if not place.exists():
        return "missing"
    try:
        checkpoint.verify(place, STATE, STATE_TENSORS)
    except Damaged as error:
        return str(error)
    return "good"


def outcome(folder: Path) -> dict[str, Any]:
    """All of a run's end that has to be the same however often it was killed."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    results = json.loads((folder / "results.json").read_text())
    return {
        "files": {each: checkpoint.digest(folder / "checkpoints" / each / "model.safetensors") for each in BOTH},
        "states": checkpoint.digest(folder / "checkpoints" / "last" / STATE_TENSORS),
        "metrics": [_without_seconds(json.loads(line)) for line in lines],
        "results": _without_seconds(results),
        # The model card is written once the run is over, and can be written again.
        "entries": sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if "README.md" not in each.name),
        "state": RunFolder(folder).read_status()["state"],
    }


BOTH = ("best", "last")


def _without_seconds(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if not name.startswith("seconds")}


def chosen(points: list[Line], most: int, draw: random.Random) -> list[int]:
    """Numbers of at most so many points: all if they are few, else one of each kind, at random."""
    if len(points) <= most:
        return list(range(1, len(points) + 1))
    return one_of_each(points, draw)[:most]


def one_of_each(
    points: list[Line], draw: random.Random, kind: Callable[[Line], object] = lambda line: line
) -> list[int]:
    """Numbers of points, one of each kind, at random."""
    kinds: dict[object, list[int]] = {}
    for number, line in enumerate(points, 1):
        kinds.setdefault(kind(line), []).append(number)
    return [draw.choice(numbers) for numbers in kinds.values()]


NAMING = ("mkdir", "exchange", "rename", "replace", "rmdir")


def place_of(line: Line) -> tuple[str, str]:
    """What gives or takes a name, and where: each file of the run folder, and each checkpoint as a whole.

    A kill while something is written under a name of its own leaves the same, whichever operation was next.
    """
    _, what, path, *_ = line
    file = Path(path)
    return what if what in NAMING else "", str(file.parent if file.parent.parent.name == "checkpoints" else file)


def report(what: str, most: int, place: Path) -> dict[str, Any]:
    """Kill as `what` says, at most so often."""
    if what == "looks":
        killer = Killer(place, SELDOM, looks=True)
    elif what == "fallback":
        killer = Killer(place, AVERAGED, can_exchange=False)
    else:
        killer = Killer(place, {"chains": AVERAGED, "folders": SHORT}.get(what, SPEC))
    draw = random.Random(0)
    points = one_of_each(killer.points, draw, place_of) if what == "folders" else chosen(killer.points, most, draw)
    chains = [(point,) for point in points]
    if what == "chains":
        half = len(killer.points) // 2
        chains = [tuple(draw.randint(1, half) for _ in range(draw.randint(2, 4))) for _ in range(most)]
    return {"told": killer.told, "runs": [killer.kill(*points) for points in chains]}


if __name__ == "__main__":
    print(json.dumps(report(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
