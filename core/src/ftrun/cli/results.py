"""Commands about a run that exists, and about those in a folder: evaluate, predict, runs."""

import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftrun.cli.common import AS_JSON, DEVICE, OTHER_DATA, PATH, RUN, TRUST, answer
from ftrun.contracts.errors import SpecError
from ftrun.contracts.numbers import line_of

if TYPE_CHECKING:
    from ftrun.runs.folder import RunFolder


FLIPS = click.option(
    "--flips/--no-flips",
    default=None,
    help="Average over each image and its mirror image, or do not; as the spec says if not given.",
)


@click.command()
@RUN
@click.argument("path", metavar="[PATH]", type=PATH, required=False)
@click.option("--dataset", metavar="SPEC", help="Other data, as in a spec: a name, family/member or a JSON object.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Evaluate on this split alone.")
@FLIPS
@OTHER_DATA
@TRUST
@DEVICE
@AS_JSON
def evaluate(
    run: Path,
    path: Path | None,
    dataset: str | None,
    split: str | None,
    flips: bool | None,
    other_data: bool,
    trust: bool,
    device: str | None,
    as_json: bool,
) -> None:
    """Evaluate the best epoch of RUN again: on its own data, or on other data of the same classes.

    On its own data, the metrics are those of results.json. PATH is a file or folder like the run's own, --dataset names
    any other data. Every sample counts once, but training samples where data comes in splits; classes are matched by
    name, and samples of classes that the run does not know are counted and left out.
    """
    if path is not None and dataset is not None:
        raise SpecError("give PATH or --dataset, not both.")
    folder = _with_best_epoch(run)
    from ftrun.inference.evaluation import evaluate_run

    asked: dict[str, Any] = {"other_data": other_data, "trust": trust, "flips": flips}
    answer(evaluate_run(folder, path or dataset, split, device, **asked), _metrics_text, as_json)


@click.command()
@RUN
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="How many classes to show.")
@click.option("--lines", "by_line", is_flag=True, help="Each line of the files is an input, such as a text.")
@click.option("--csv", "to_csv", type=PATH, metavar="FILE", help="Write a CSV file: a new one.")
@click.option("--force", is_flag=True, help="Replace the table of an earlier predict that --csv names.")
@FLIPS
@TRUST
@DEVICE
@AS_JSON
def predict(run: Path, to_csv: Path | None, force: bool, as_json: bool, **asked: Any) -> None:
    """Predict by the best epoch of RUN for files, those in folders, globs, or - for paths on standard input.

    With --lines, for each line of the files; - is standard input itself. What cannot be read is named on standard
    error, and the rest goes on; exit code 4 at the end.
    """
    if as_json and to_csv:
        raise SpecError("give --json or --csv, not both.")
    folder = _with_best_epoch(run)
    if to_csv:
        from ftrun.data.files import check_new, check_no_input
        from ftrun.inference.predicttable import is_table
        from ftrun.inference.run import Run

        recorded = Run(folder.path, trust=bool(asked["trust"]))
        check_new("--csv", to_csv, force=force, own=lambda path: is_table(path, lambda: recorded.targets))
        check_no_input("--csv", to_csv, asked["paths"], folder.read_json("resolved.json").get("spec"))
    from ftrun.inference.predict import Request
    from ftrun.inference.predict import predict as predict_all

    predict_all(folder, Request(standard_input=_standard_input(), to_csv=to_csv, as_json=as_json, **asked))


@click.command()
@click.argument("folder", metavar="[DIR]", type=PATH, default="runs")
@AS_JSON
def runs(folder: Path, as_json: bool) -> None:
    """List the runs in DIR, `runs` if not given: state, best metric, backbone and age."""
    from ftrun.runs import summaries

    answer(summaries.runs(folder), summaries.runs_text, as_json)


def _with_best_epoch(run: Path) -> "RunFolder":
    """Return the folder of a run that has a best epoch, before anything heavy loads."""
    from ftrun.runs.folder import RunFolder

    folder = RunFolder.existing(run)
    folder.best()
    return folder


def _standard_input() -> Iterator[str]:
    """Yield its lines, once they are asked for; a file's name may be no text."""
    if sys.stdin is None:
        raise SpecError("-: there is no standard input to read.")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    yield from sys.stdin


def _metrics_text(results: dict[str, Any]) -> str:
    lines = [f"{results['run']}, epoch {results['epoch']}, on {results['dataset']['name']}"]
    lines += [
        f"{split}: {line_of(results[split])}  ({samples:,} samples)" for split, samples in results["samples"].items()
    ]
    return "\n".join(lines)
