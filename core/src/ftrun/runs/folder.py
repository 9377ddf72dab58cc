"""The run folder: readable without ftrun, never overwritten, written by one process at a time."""

import json
import os
import platform
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftrun.contracts.errors import FtrunError, PluginError, SpecError, did_you_mean
from ftrun.contracts.numbers import to_json
from ftrun.contracts.printable import shortlist
from ftrun.data.files import sync, write_whole, writing
from ftrun.plugins.localparts import PartsFile
from ftrun.runs.lock import Lock, is_locked
from ftrun.spec.specfile import spec_name

if TYPE_CHECKING:
    from ftrun.plugins.catalogue import Catalogue

PARTS = "parts"
"""The folder with the copy of the local parts."""
TARGETS = "targets"
"""In resolved.json's `plugins`, the place of kinds of target, which are needed whatever is done with a run."""
_STARTED = datetime.now(UTC).isoformat(timespec="seconds")
"""When this process began, or near enough: whatever has its number and began later is another process."""


class RunFolder:
    """`runs/<name>-<n>/`, or the folder that `--out` names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, out: Path | None, name: str) -> "RunFolder":
        """Make a new folder: `out`, which must not exist, or the next free `runs/<name>-<n>`."""
        folder = cls(_new(out, name))
        with writing(folder.path):
            folder.checkpoints.mkdir()
            sync(folder.path.parent)
        return folder

    @classmethod
    def existing(cls, path: Path) -> "RunFolder":
        """Return the folder of a run that was started. Raises SpecError where there is none."""
        if (path / "resolved.json").is_file():
            return cls(path)
        if holder := next((each for each in path.absolute().parents if (each / "resolved.json").is_file()), None):
            raise SpecError(f"{path}: is inside of a run folder. Did you mean {os.path.relpath(holder)!r}?")
        if not path.is_dir():
            raise SpecError(f"{path}: no such run folder.{_nearest_run(path)}")
        if runs := _run_folders(path):
            raise SpecError(f"{path}: holds runs, and is none itself. Name one of them: {_listed(runs)}.")
        raise SpecError(f"{path}: not the folder of a run, or of one that ended before it began: no resolved.json.")

    @property
    def checkpoints(self) -> Path:
        """Where `best` and `last` are, and `previous`, the last one before that."""
        return self.path / "checkpoints"

    def best(self) -> Path:
        """Return the checkpoint of the best epoch. Raises SpecError where there is none yet."""
        best = self.checkpoints / "best"
        if not best.is_dir():
            status = self.read_status()
            hint = "Wait for its first epoch." if status.get("state") == "running" else f"ftrun resume {self.path}"
            raise SpecError(
                f"{self.path}: has no best checkpoint yet: this run is {status.get('state')}, "
                f"{status.get('epoch')} epochs done. To have one: {hint}"
            )
        return best

    @property
    def epochs(self) -> int | None:
        """How many epochs the run is for; None where resolved.json does not say."""
        train = (self.read_json("resolved.json").get("spec") or {}).get("train") or {}
        return train.get("epochs")

    def keep_parts(self, file: PartsFile) -> None:
        """Copy local parts into the folder, with what they import from their own folder."""
        for name, source in file.files.items():
            with writing(self.path / PARTS / name):
                (self.path / PARTS / name).parent.mkdir(parents=True, exist_ok=True)
            self.write(f"{PARTS}/{name}", source)

    def local_parts(self, *, trust: bool = False) -> PartsFile | None:
        """Return the copy of the local parts that the run was started with, if it was; nothing of it runs yet.

        trust: whether its code may run although this user has never run it

        Raises PluginError where it is gone, or may not run; SpecError where it cannot be read.
        """
        spec = self.read_json("resolved.json").get("spec")
        name = spec.get("parts") if isinstance(spec, dict) else None
        if name is None:
            return None
        if not isinstance(name, str) or not re.fullmatch(rf"{PARTS}/\w+\.py", name):
            raise FtrunError(f"{self.path / 'resolved.json'}: is damaged: its parts are no file of this folder.")
        if not (self.path / name).exists():
            raise PluginError(f"{self.path / name}: is missing, and this run has parts from it. Bring it back.")
        file = PartsFile.read(self.path / name, copied=True)
        file.check_trusted(trust=trust)
        return file

    def catalogue(
        self,
        keys: Collection[str] | None = None,
        *,
        named: Iterable[tuple[str, str | None]] = (),
        trust: bool = False,
    ) -> "Catalogue":
        """Return what is installed, and the run's local parts where one of the parts that are needed comes from them.

        What needs none of them runs none of their code.

        keys: those of the spec whose parts are needed; all if not given
        named: role and part, as the command line names it, of those that are needed and are not in the run's spec
        trust: see `local_parts`
        """
        from ftrun.plugins.catalogue import installed

        resolved = self.read_json("resolved.json")
        local = local_keys(resolved)
        if not (local if keys is None else local & {*keys, TARGETS}):
            catalogue = installed()
            if not _has_parts(resolved) or all(
                part is None or spec_name(part) in (None, *catalogue.parts(role)) for role, part in named
            ):
                return catalogue
        return installed(self.local_parts(trust=trust))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that writes here. Raises FtrunError where another one does."""
        lock = Lock(self.path / ".lock")
        try:
            if not lock.held:
                status = self.read_status()
                raise FtrunError(
                    f"{self.path}: process {status.get('pid')} on {status.get('host')} is at work in this run folder. "
                    "Wait for it, or stop it first."
                )
            yield
        finally:
            lock.release()

    def remove_leftovers(self) -> None:
        """Remove what a kill in the middle of a checkpoint's writing has left."""
        for leftover in self.checkpoints.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file whole: a reader sees the old content or the new one, never a part."""
        write_whole(self.path / name, content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole."""
        self.write(name, to_json(value) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return what a JSON file holds. Raises FtrunError where it cannot be read as an object."""
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FtrunError(f"{path}: cannot be read: {error.strerror}.") from None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise FtrunError(f"{path}: is damaged: it does not hold a JSON object.")
        return value

    def append_line(self, name: str, line: str) -> None:
        """Add a line to a file."""
        with writing(self.path / name), (self.path / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def append_metrics(self, metrics: Mapping[str, float]) -> None:
        """Add an epoch's line to metrics.jsonl."""
        self.append_line("metrics.jsonl", to_json(metrics, None))

    def write_metrics(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write metrics.jsonl anew: a run that goes on from a checkpoint has the epochs until then."""
        self.write("metrics.jsonl", "".join(to_json(metrics, None) + "\n" for metrics in history))

    def write_status(self, state: str, *, epoch: int, step: int, reason: str = "") -> None:
        """Write where the run is: running, finished, interrupted, failed or diverged; and who says so."""
        who = {"pid": os.getpid(), "host": platform.node(), "started": _STARTED}
        self.write_json("status.json", {"state": state, "epoch": epoch, "step": step, "reason": reason, **who})

    def read_status(self) -> dict[str, Any]:
        """Return the state of the run: where its process was killed, `interrupted`, whatever was written last."""
        try:
            status = self.read_json("status.json")
        except FtrunError as error:
            status = {"state": "running", "epoch": 0, "step": 0, "reason": str(error)}
        if status.get("state") == "running" and not is_locked(self.path / ".lock"):
            reason = "its process ended without a word: it was killed, or the machine went down"
            return {**status, "state": "interrupted", "reason": reason}
        return status


def local_keys(resolved: Mapping[str, Any]) -> set[str]:
    """Return the keys of the spec at which a part comes from the run's copy of local parts."""
    plugins = resolved.get("plugins") if _has_parts(resolved) else None
    listed = [each for each in plugins if isinstance(each, Mapping)] if isinstance(plugins, list) else []
    return {key_of(each) for each in listed if "sha256" in each}  # others have versions


def key_of(plugin: Mapping[str, Any]) -> str:
    """Return the key of the spec that a part in resolved.json's `plugins` stands at."""
    return str(plugin.get("part", "")).partition(".")[0]


def _has_parts(resolved: Mapping[str, Any]) -> bool:
    spec = resolved.get("spec")
    return isinstance(spec, Mapping) and spec.get("parts") is not None


def check_new(out: Path) -> None:
    """Raise SpecError where `--out` names something that exists."""
    if out.exists() or out.is_symlink():
        raise SpecError(f"--out {out}: exists already, and a run never overwrites. Name another folder, or remove it.")


def _new(out: Path | None, name: str) -> Path:
    if out is not None:
        check_new(out)
        with writing(out):
            out.mkdir(parents=True)
        return out
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
                return runs / f"{name}-{number}"


def _number(folder: str, name: str) -> int:
    match = re.fullmatch(re.escape(name) + r"-(\d+)", folder)
    return int(match[1]) if match else 0


def _nearest_run(path: Path) -> str:
    """Return the run folder that was meant, or the runs that are at hand: in the folder named, and in `runs`."""
    runs = [each for parent in dict.fromkeys((Path("runs"), path.parent)) for each in _run_folders(parent)]
    near = did_you_mean(str(path), map(str, runs))
    return near or (f" Runs at hand: {_listed(runs)}." if runs else "")


def _listed(runs: list[Path]) -> str:
    newest = sorted(runs, key=lambda run: run.stat().st_mtime, reverse=True)
    return shortlist([str(run) for run in newest], most=5)


def _run_folders(parent: Path) -> list[Path]:
    try:
        return [each for each in parent.iterdir() if (each / "resolved.json").is_file()]
    except OSError:
        return []
