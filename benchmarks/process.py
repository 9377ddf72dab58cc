"""One contender in a process of its own, and what it cost: time, memory of its whole tree, its own report."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_RSS_EVERY = 0.1  # seconds
_PSS_EVERY = 2.0  # reading it walks all pages, which takes some milliseconds


class ContenderFailed(Exception):
    """A contender's process did not end well; its last lines."""


def run(script: str, work: Any, folder: Path, *, threads: int, cache: Path) -> dict[str, Any]:
    """Run `script` on `work` in `folder`, and give its report with `total_seconds`, `startup_seconds` and memory."""
    folder.mkdir(parents=True)
    work.write(folder / "work.json")
    command = [sys.executable, str(HERE / script), "work.json", "report.json"]
    with (folder / "output.txt").open("w") as output:
        started = time.time()
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(threads, cache, work.device), stdout=output, stderr=output
        )
        with _watched(process.pid) as memory:
            code = process.wait()
        total = time.time() - started
    if code or not (folder / "report.json").exists():
        raise ContenderFailed("\n".join((folder / "output.txt").read_text().splitlines()[-15:]))
    report = json.loads((folder / "report.json").read_text())
    first = report.pop("first_step", None)
    return {
        **report,
        "total_seconds": total,
        "startup_seconds": first - started if first else None,
        **{key: value for key, value in memory.items() if value},
    }


def _environment(threads: int, cache: Path, device: str) -> Mapping[str, str]:
    """The same for every contender: as many threads for what computes, and nothing from the network."""
    own = {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": str(HERE / "peers"),
        "FTRUN_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
    }
    # Python without its compiled bytecode takes seconds more to start, and those who import more suffer more.
    given = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**given, **own, **({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})}


@contextmanager
def _watched(pid: int) -> Iterator[dict[str, int]]:
    """Peak memory of a process and its children, in bytes.

    peak_rss: pages that two of them share count twice, those of mapped files count too
    peak_pss: shared pages are shared out; sampled seldom, so short peaks may be missed
    """
    peaks = {"peak_rss": 0, "peak_pss": 0}
    over = threading.Event()
    thread = threading.Thread(target=_sample, args=(pid, peaks, over))
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def _sample(pid: int, peaks: dict[str, int], over: threading.Event) -> None:
    next_pss = time.monotonic() + 1
    while not over.wait(_RSS_EVERY):
        tree = _tree(pid)
        peaks["peak_rss"] = max(peaks["peak_rss"], sum(map(_rss, tree)))
        if time.monotonic() >= next_pss:
            peaks["peak_pss"] = max(peaks["peak_pss"], sum(map(_pss, tree)))
            next_pss = time.monotonic() + _PSS_EVERY


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    children = "".join(_read(path) for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _rss(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _pss(pid: int) -> int:
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has just ended, or this is no Linux
        return ""
