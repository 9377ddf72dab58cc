"""Accuracy at equal time, from the start of the process to its end: ftrun's recipe, given the minutes, and its peers.

    uv run --group benchmarks python benchmarks/recipes.py --data DIR --jobs cifar-1000,cells --seconds 20,60

DIR holds train/ and test/ of CIFAR-10 as JPEG files, BCCD/ and nuclei/.

A peer is given the number of epochs that its own measured speed allows: it runs once with one epoch, and, where there
is time for more, once with two. Each contender runs in turn, seed by seed. `results/recipes/` has the runs, written
after each of them; those that it has are not run again. RECIPES.md has the table.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent / "peers"))
import machine
import process
import results
from common import Work
from recipedata import JOBS, SIDE, made

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A script, and what it does differently."""

    name: str
    script: str
    work: Mapping[str, Any] = field(default_factory=dict)
    timed: bool = False
    """Whether it takes the minutes itself."""


FTRUN = Peer("ftrun", "peers/ftrun_minutes.py", timed=True)
IMAGES = (
    FTRUN,
    Peer("fastai, lr_find and fine_tune", "peers/fastai_finetune.py"),
    Peer("HF Trainer", "peers/hf_defaults.py"),
    Peer("article", "peers/article.py"),
)
TEXTS = (FTRUN, Peer("HF Trainer", "peers/hf_defaults.py"), Peer("article", "peers/article_texts.py"))
NETS: Mapping[str, Mapping[str, Any]] = {
    "cifar-scratch": {"net": "resnet18", "size": 32},
    "docstrings": {"options": {"text": True}},
}
"""What of a job's work is not EfficientNet-Lite0 at the side of a crop."""


ALL = (*JOBS, "cifar-scratch")


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--work", "place", type=click.Path(path_type=Path), help="Folder for data and runs; temporary if not given."
)
@click.option("--jobs", default="all", show_default=True, help=f"Comma-separated: {', '.join(ALL)}.")
@click.option("--seconds", default="20,60,180", show_default=True, help="Budgets, comma-separated.")
@click.option("--contenders", help="Only those whose names start so, comma-separated.")
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--results", "folder", default=HERE / "results" / "recipes", type=click.Path(path_type=Path))
@click.option("--again", is_flag=True, help="Run what there are results of, too.")
def main(
    data: Path,
    place: Path | None,
    jobs: str,
    seconds: str,
    contenders: str | None,
    seeds: str,
    folder: Path,
    again: bool,
) -> None:
    """Run the contenders and write the table."""
    folder.mkdir(parents=True, exist_ok=True)
    place = place or Path(mkdtemp(prefix="ftrun-recipes-"))
    for job in ALL if jobs == "all" else jobs.split(","):
        at = made("cifar-10000" if job == "cifar-scratch" else job, data, place / "data" / job)
        kept = Kept(folder / f"{job}.json")
        peers = TEXTS if job == "docstrings" else IMAGES
        peers = tuple(each for each in peers if not contenders or each.name.startswith(tuple(contenders.split(","))))
        for seed in map(int, seeds.split(",")):
            for budget in map(int, seconds.split(",")):
                for peer in peers:
                    if again or not kept.has(peer, budget, seed):
                        kept.add(peer, budget, seed, _run(peer, job, at, budget, seed, kept, place))
                        click.echo(f"{job} {budget} s, seed {seed}: {_line(kept.runs[-1])}")
                (folder.parent.parent / "RECIPES.md").write_text(_page(folder))


class Kept:
    """The results of one job: a JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content = json.loads(path.read_text()) if path.exists() else {}
        self.runs: list[dict[str, Any]] = content.get("runs", [])
        self.paces: dict[str, list[float]] = content.get("paces", {})
        """Seconds of a peer's whole process, with one epoch and, maybe, with two."""

    def has(self, peer: Peer, budget: int, seed: int) -> bool:
        return any((run["peer"], run["budget"], run["seed"]) == (peer.name, budget, seed) for run in self.runs)

    def add(self, peer: Peer, budget: int, seed: int, run: dict[str, Any]) -> None:
        self.runs = [
            each for each in self.runs if (each["peer"], each["budget"], each["seed"]) != (peer.name, budget, seed)
        ]
        self.runs.append({"peer": peer.name, "budget": budget, "seed": seed, **run})
        self.save()

    def save(self) -> None:
        about = machine.describe(len(os.sched_getaffinity(0)), "cpu")
        content = {"machine": about, "paces": self.paces, "runs": self.runs}
        self.path.write_text(json.dumps(content) + "\n")


def _run(peer: Peer, job: str, at: Path, budget: int, seed: int, kept: Kept, place: Path) -> dict[str, Any]:
    """Return what one run came to: seconds, epochs, and of each test sample if it is right, as a text of 0 and 1."""
    if peer.timed:
        run = _process(peer, job, at, seed, place, minutes=budget / 60)
        epochs = run["epochs"]
    else:
        epochs = _epochs(peer, job, at, budget, kept, place)
        run = _process(peer, job, at, seed, place, epochs=epochs)
    right = run.pop("correct")
    return {
        "seconds": run["total_seconds"],
        "epochs": epochs,
        "accuracy": sum(right) / len(right),
        "right": "".join(map(str, right)),
        **({"recipe": run["recipe"]} if run.get("recipe") else {}),
    }


def _epochs(peer: Peer, job: str, at: Path, budget: int, kept: Kept, place: Path) -> int:
    """Return how many epochs a peer has time for, one at the least: measured once, and kept."""
    pace = kept.paces.setdefault(peer.name, [])
    if not pace:
        pace.append(_process(peer, job, at, 0, place, epochs=1)["total_seconds"])
    if len(pace) == 1 and pace[0] < budget:
        pace.append(_process(peer, job, at, 0, place, epochs=2)["total_seconds"])
    kept.save()
    if len(pace) == 1:
        return 1
    each = max(pace[1] - pace[0], 0.05)
    return max(1, 1 + int((budget - pace[0]) / each))


def _process(
    peer: Peer, job: str, at: Path, seed: int, place: Path, *, epochs: int = 1, minutes: float | None = None
) -> dict[str, Any]:
    net = {"net": "lite0", "size": SIDE, **NETS.get(job, {})}
    options = {"samples": True, **net.pop("options", {}), **({"minutes": minutes} if minutes else {})}
    work = Work(data=str(at), seed=seed, epochs=epochs, options=options, **net, **peer.work)
    number = sum(1 for _ in place.glob("run-*"))
    folder = place / f"run-{number}"
    cache = folder.with_name(f"cache-{number}")  # an empty one: what a run before has decoded is no help
    return process.run(peer.script, work, folder, threads=len(os.sched_getaffinity(0)), cache=cache)


def paired(first: str, second: str) -> float:
    """Return the two-sided p-value of McNemar's exact test: are as many right in one alone as in the other alone?

    first, second: of each sample, 1 if it is right
    """
    pairs = list(zip(first, second, strict=True))
    one, other = pairs.count(("1", "0")), pairs.count(("0", "1"))
    count, least = one + other, min(one, other)
    return min(1.0, 2 * sum(comb(count, each) for each in range(least + 1)) / 2**count)


def _page(folder: Path) -> str:
    lines = [
        "# Accuracy at equal time",
        "",
        "Made by `benchmarks/recipes.py`. Test accuracy, median over seeds and range; seconds of the process, "
        "median. *equal*: the paired test (McNemar, exact, all seeds' samples together) does not tell it from "
        "ftrun at 0.05; **better**: it is. A peer has one epoch at the least, even if that takes longer.",
    ]
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        runs = content["runs"]
        names = list(dict.fromkeys(run["peer"] for run in runs))
        lines += ["", f"## {path.stem}", "", results.about(content["machine"]), "", f"| budget | {' | '.join(names)} |"]
        lines.append("|---|" + "---|" * len(names))
        for budget in sorted({run["budget"] for run in runs}):
            cells = [_cell([run for run in runs if run["budget"] == budget], name) for name in names]
            lines.append(f"| {budget} s | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(runs: Sequence[Mapping[str, Any]], name: str) -> str:
    own = {run["seed"]: run for run in runs if run["peer"] == name}
    first = {run["seed"]: run for run in runs if run["peer"] == FTRUN.name}
    if not own:
        return "-"
    values = [run["accuracy"] for run in own.values()]
    seconds = median(run["seconds"] for run in own.values())
    text = f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f}), {seconds:.0f} s"
    both = sorted(own.keys() & first.keys())
    if name != FTRUN.name and both:
        rights = ["".join(each[seed]["right"] for seed in both) for each in (own, first)]
        better = rights[0].count("1") > rights[1].count("1")
        text += ", equal" if paired(*rights) >= 0.05 else ", **better**" if better else ""
    return text


def _line(run: Mapping[str, Any]) -> str:
    return f"{run['peer']}: accuracy {run['accuracy']:.4f}, {run['seconds']:.1f} s, {run['epochs']} epochs"


if __name__ == "__main__":
    main()
