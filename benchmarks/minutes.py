"""How near runs end to the minutes that their spec gives them, from the start of the process to its end: 12 specs.

    uv run python benchmarks/minutes.py [--specs digits-full,texts] [--minutes 0.5,1] [--data DIR] [--slower]

Each spec is a dataset, a backbone, perhaps a recipe, and `train.minutes`. The bar is 10 %. With --slower, other
processes take the processor from the middle of each run on: what is left has to be planned anew. DIR is where
cifar10-jpeg is unpacked, train/ and test/; specs that need it are left out without.
"""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from time import perf_counter
from typing import Any

import click

EXAMPLES = Path(__file__).parents[1] / "examples"
BAR = 0.1
LITE = "efficientnet-lite0"
RESNET = {"name": "timm", "model": "resnet18", "pretrained": False}


def folder(data: str, limit: int) -> dict[str, Any]:
    """Return the CIFAR JPEGs as a dataset."""
    return {"name": "image-folder", "path": data, "limit": limit}


def specs(data: str) -> dict[str, dict[str, Any]]:
    """Return the 12 specs, without their minutes, by name."""
    texts = {"parts": str(EXAMPLES / "docstrings.py"), "dataset": "docstrings", "input": {"length": 64}}
    return {
        "digits-probe": {"dataset": "digits", "backbone": LITE, "recipe": "probe"},
        "digits-quick": {"dataset": "digits", "backbone": LITE, "recipe": "quick"},
        "digits-full": {"dataset": "digits", "backbone": LITE},
        "digits-large": {"dataset": "digits", "backbone": LITE, "input": {"size": 96}},
        "digits-several": {"dataset": {"name": "digits", "targets": ["digit", "parity", "ink"]}, "backbone": LITE},
        "digits-scratch": {"dataset": "digits", "backbone": RESNET, "input": {"size": 32}},
        "digits-average": {"dataset": "digits", "backbone": LITE, "train": {"average": "ema"}},
        "texts": {**texts, "backbone": "minilm"},
        "texts-probe": {**texts, "backbone": "minilm", "recipe": "probe"},
        "texts-scratch": {**texts, "backbone": "lstm"},
        "cifar-1000": {"dataset": folder(data, 1000), "backbone": LITE},
        "cifar-10000": {"dataset": folder(data, 10_000), "backbone": LITE},
    }


def busy(seconds: float) -> None:
    """Compute for so long."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        sum(range(10_000))


def took(spec: dict[str, Any], minutes: float, *, slower: bool) -> tuple[float, dict[str, Any]]:
    """Run a spec in a process of its own; return its seconds, and what resolved.json holds of the recipe."""
    whole = {**spec, "train": {**spec.get("train", {}), "minutes": minutes}}
    rivals = [multiprocessing.Process(target=busy, args=(60 * minutes,)) for _ in range(os.cpu_count() or 1)]
    timer = Timer(30 * minutes, lambda: [rival.start() for rival in rivals])
    with TemporaryDirectory() as place:
        file, out = Path(place, "spec.json"), Path(place, "run")
        file.write_text(json.dumps(whole))
        command = [sys.executable, "-c", "from ftrun.start import process; process()", str(file), "--out", str(out)]
        began = perf_counter()
        if slower:
            timer.start()
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
        finally:
            timer.cancel()
            for rival in rivals:
                if rival.pid is not None:
                    rival.terminate()
        seconds = perf_counter() - began
        if ended.returncode:
            raise click.ClickException(f"{spec}: {ended.stderr or ended.stdout}")
        results = json.loads((out / "results.json").read_text())
        return seconds, {**json.loads((out / "resolved.json").read_text())["recipe"], "test": results["test"]}


def line(name: str, minutes: float, seconds: float, recipe: dict[str, Any]) -> str:
    """Return a row of the table."""
    off = seconds / (60 * minutes) - 1
    replanned, test = len(recipe["knots"]), (recipe["test"] or {}).get("accuracy")
    accuracy = f"{test:.3f}" if test is not None else "-"
    verdict = "" if abs(off) <= BAR else " **off**"
    return f"| {name} | {minutes:g} | {seconds:.1f} s | {100 * off:+.1f} %{verdict} | {replanned} | {accuracy} |"


HEAD = "| spec | minutes | took | off by | planned anew | test accuracy |\n|---|---:|---:|---:|---:|---:|"


@click.command()
@click.option("--specs", "names", help="Which specs, by name; all if not given.")
@click.option("--minutes", "budgets", default="0.5", show_default=True, help="How many, one run for each.")
@click.option("--data", type=click.Path(exists=True), help="Where cifar10-jpeg is unpacked.")
@click.option("--slower", is_flag=True, help="Have the machine be slower from the middle on.")
def main(names: str | None, budgets: str, data: str | None, slower: bool) -> None:
    """Measure how near runs end to their minutes."""
    every = specs(data or "")
    chosen = names.split(",") if names else [name for name in every if data or not name.startswith("cifar")]
    click.echo(HEAD)
    for minutes in map(float, budgets.split(",")):
        for name in chosen:
            click.echo(line(name, minutes, *took(every[name], minutes, slower=slower)))


if __name__ == "__main__":
    main()
