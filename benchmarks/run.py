"""ftrun and its peers on the same work, in turn: `uv run --group benchmarks python benchmarks/run.py --help`."""

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import images
import machine
import process
import results
from rows import ROWS, Contender, Row

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 220)
HERE = Path(__file__).parent
FILL_CACHE = ("peers/ftrun_spec.py", "measures/size.py")
"""Scripts that find in their rounds what a run before left in ftrun's cache."""


@click.command()
@click.option("--rows", default="resnet18-32", show_default=True, help=f"Comma-separated, or all: {', '.join(ROWS)}.")
@click.option("--contenders", help="Only those whose names start so, comma-separated; the first of a row always runs.")
@click.option(
    "--rounds", type=click.IntRange(1), help="How often each contender runs; the row's own number if not given."
)
@click.option("--images", "count", type=click.IntRange(10), help="Training images; the row's own number if not given.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of each run; the row's own number if not given.")
@click.option("--threads", type=click.IntRange(1), help="Threads of each contender; as many as cores if not given.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with train/ and test/, a folder for each class in them; images are made up if not given.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the races run.")
@click.option("--quick", is_flag=True, help="Next to no work, to see that everything runs; RESULTS.md is left alone.")
@click.option(
    "--results",
    "folder",
    type=click.Path(path_type=Path),
    help="Where the results are kept, RESULTS.md beside it; results/ beside this file if not given.",
)
@click.option(
    "--more", is_flag=True, help="Add to the rounds of the results that are kept, if they are of this very work."
)
@click.option("--render", is_flag=True, help="Only write RESULTS.md anew from the results that are there.")
def main(
    rows: str,
    contenders: str | None,
    rounds: int | None,
    count: int | None,
    epochs: int | None,
    threads: int | None,
    data: Path | None,
    device: str,
    quick: bool,
    folder: Path | None,
    more: bool,
    render: bool,
) -> None:
    """Run ftrun and its peers on the same work, in turn, and write RESULTS.md."""
    threads = threads or len(os.sched_getaffinity(0))
    keep = folder or (None if quick else HERE / "results")
    command = _command(click.get_current_context().params)
    for row in [] if render else _chosen(rows, contenders, quick):
        if row.images and count:
            row = replace(row, images={**row.images, "train": count})
        row = replace(row, rounds=rounds or row.rounds)
        changes = {"device": device, **({"epochs": epochs} if epochs else {})}
        with tempfile.TemporaryDirectory(prefix="ftrun-benchmarks-") as place:
            race = Race(row, Path(place), data if row.real_data else None, changes, threads, command)
            if more and keep and (kept := results.load(keep, row)):
                race.go_on_from(kept)
            race.run(keep)
    if keep:
        (keep.parent / "RESULTS.md").write_text(results.render(keep))


class Race:
    """One row: its data, its contenders, and their figures so far."""

    def __init__(
        self, row: Row, place: Path, data: Path | None, changes: Mapping[str, Any], threads: int, command: str
    ) -> None:
        self.row, self.place, self.changes, self.threads = row, place, changes, threads
        self.missing = {each.name: f"{name} is not installed" for each in row.contenders for name in _lacking(each)}
        self.contenders = [each for each in row.contenders if each.name not in self.missing]
        self.rounds: dict[str, list[dict[str, Any]]] = {each.name: [] for each in self.contenders}
        self.about = {
            "command": command,
            "data": _data_line(row, data),
            "machine": machine.describe(threads, changes["device"]),
        }
        if row.images:
            images.prepare(place / "data", row.images, data, row.source_size)

    def go_on_from(self, kept: Mapping[str, Any]) -> None:
        """Take over the rounds of earlier results. Raises ClickException where they are of other work."""
        for what in ("data", "machine"):
            own, theirs = self.about[what], kept[what]
            if what == "machine":
                own, theirs = ({**each, "date": ""} for each in (own, theirs))
            if own != theirs:
                raise click.ClickException(f"--more: {self.row.name} has results of another {what}: {theirs}")
        self.rounds = {name: list(runs) for name, runs in kept["rounds"].items()} | {
            each.name: list(kept["rounds"].get(each.name, [])) for each in self.contenders
        }
        running = {each.name for each in self.contenders}
        self.missing |= {name: why for name, why in kept["missing"].items() if name not in running}

    def run(self, keep: Path | None) -> None:
        """All rounds; what is there is kept after each."""
        CONSOLE.rule(self.row.title)
        for each in list(self.contenders) if self.row.warm_up else []:
            if each.script in FILL_CACHE and not each.cold:
                self._try(each, "warm-up")
        for number in range(1, self.row.rounds + 1):
            for each in list(self.contenders):
                figures = self._try(each, f"round {number}")
                if figures:
                    self.rounds[each.name].append(figures)
            if keep:
                about = {**self.about, "missing": self.missing}
                results.save(keep, self.row, about, {name: runs for name, runs in self.rounds.items() if runs})
        self._show()

    def _try(self, contender: Contender, title: str) -> dict[str, Any] | None:
        """The figures of one run; None where it fails, and then it takes part no more."""
        name = f"{title}-{self.row.contenders.index(contender)}".replace(" ", "-")
        cache = self.place / ("cache" if not contender.cold else f"cache-{name}")
        work = self.row.work_of(contender, self.place / "data", self.changes)
        try:
            figures = process.run(contender.script, work, self.place / name, threads=self.threads, cache=cache)
        except process.ContenderFailed as error:
            CONSOLE.print(f"{contender.name} failed:\n{error}", markup=False)
            self.missing[contender.name] = "it failed"
            self.contenders.remove(contender)
            return None
        figures |= _derived(figures, work.batch)
        shown = {column.title: figures.get(column.key) for column in self.row.columns[:4]}
        CONSOLE.print(f"{title}, {contender.name}: " + ", ".join(f"{k} {_short(v)}" for k, v in shown.items()))
        return figures

    def _show(self) -> None:
        heading, *lines = results.table(self.row, {name: runs for name, runs in self.rounds.items() if runs})
        shown = Table(*heading)
        for line in lines:
            shown.add_row(*line)
        CONSOLE.print(shown)
        for name, why in self.missing.items():
            CONSOLE.print(f"{name}: {why}")


def _derived(figures: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """Figures that follow from a run's own."""
    derived: dict[str, Any] = {
        f"peak_{kind}_mb": figures.get(f"peak_{kind}", 0) / 1e6 or None for kind in ("rss", "pss")
    }
    if epochs := figures.get("epoch_seconds"):
        derived["train_seconds"] = sum(epochs)
        derived["images_per_second"] = figures["steps"] * batch / sum(epochs)
        derived["epoch_last"] = epochs[-1]
    return derived


def _chosen(rows: str, contenders: str | None, quick: bool) -> list[Row]:
    names = list(ROWS) if rows == "all" else rows.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise click.BadParameter(f"there is no {unknown[0]}; there are {', '.join(ROWS)}", param_hint="--rows")
    chosen = [ROWS[name].quickly() if quick else ROWS[name] for name in names]
    if contenders is None:
        return chosen
    starts = tuple(contenders.split(","))
    return [
        replace(
            row, contenders=[row.contenders[0], *(each for each in row.contenders[1:] if each.name.startswith(starts))]
        )
        for row in chosen
    ]


def _lacking(contender: Contender) -> list[str]:
    return [name for name in contender.needs if find_spec(name) is None][:1]


def _data_line(row: Row, data: Path | None) -> str:
    """Which images, without the place on this machine where they lie."""
    if not row.images:
        return "no files"
    what = data.name if data else f"made-up JPEGs of {row.source_size} px"
    return f"{what} ({', '.join(f'{count:,} {split}' for split, count in row.images.items())})"


def _command(options: Mapping[str, Any]) -> str:
    """The command, so that others can give it; places on this machine are left out."""
    words = ["benchmarks/run.py"]
    for key, value in options.items():
        name = {"count": "images", "folder": "results"}.get(key, key)
        if value is True:
            words.append(f"--{name}")
        elif (
            value is not None
            and value is not False
            and name not in ("results", "more", "rounds")
            and (name, value) != ("device", "cpu")
        ):
            words.append(f"--{name} {'DIR' if isinstance(value, Path) else value}")
    return " ".join(words)


def _short(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
