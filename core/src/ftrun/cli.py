"""The command line. Loads torch for `run` alone, after the spec is checked."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from ftrun.errors import FtrunError, PluginError, SpecError, exit_code, located

if TYPE_CHECKING:
    from ftrun.catalogue import Catalogue
    from ftrun.localparts import PartsFile
    from ftrun.run.folder import RunFolder
    from ftrun.runspec import RunSpec


_STARTED = perf_counter()


class _RunByDefault(click.Group):
    """`ftrun SPEC` is `ftrun run SPEC`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if "OMP_WAIT_POLICY" not in os.environ:
            # OpenMP's threads spin for milliseconds while they wait. On a machine that others use too, they spin on
            # cores that somebody needs, and training slows down ten times and more. This is what libgomp itself takes
            # where it knows that it has more threads than cores. It has to be told before torch loads.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        try:
            return super().invoke(ctx)
        except FtrunError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:  # before training starts; from then on, it waits for the end of a step
            ctx.exit(130)


SPEC = click.argument("spec", type=click.Path(path_type=Path))
RUN = click.argument("run", type=click.Path(path_type=Path))
SET = click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change the spec: optimizer.lr=0.01.")
DEVICE = click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ...; the best one here if not given.")
PARTS = click.option(
    "--parts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Python file with parts of your own; wins over the spec's.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=_RunByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ftrun")
def main() -> None:
    """Fine-tune a pretrained model from a spec. `ftrun SPEC` is `ftrun run SPEC`."""


@main.command()
@SPEC
@SET
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder; runs/NAME-N if not given.")
@DEVICE
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Start from the weights of a run's best epoch, as far as they fit.",
)
@PARTS
def run(
    spec: Path,
    overrides: tuple[str, ...],
    out: Path | None,
    device: str | None,
    init_from: Path | None,
    parts: Path | None,
) -> None:
    """Train, judge and save the model that SPEC describes."""
    text, checked, catalogue = _checked(spec, overrides, parts)
    if out is not None:
        from ftrun.run.folder import check_new

        check_new(out)  # before anything heavy loads
    from ftrun.run.session import Request
    from ftrun.run.session import run as run_session

    run_session(Request(checked, spec.stem, text, overrides, catalogue, out, device, init_from, started=_STARTED))


@main.command()
@RUN
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Extend the run to N epochs in all.")
@DEVICE
def resume(run: Path, epochs: int | None, device: str | None) -> None:
    """Go on with RUN, a run folder, from its last checkpoint.

    The spec is the run's own. With --epochs, the learning rate is from here on what it is at this step of a run of N
    epochs; what is done stays as it is.
    """
    from ftrun.run.folder import RunFolder

    folder = RunFolder.existing(run)
    if folder.read_status().get("state") == "finished" and epochs in (None, folder.epochs):
        click.echo(f"{run}: already finished; its results: {run / 'results.json'}. --epochs N extends it.")
        return
    from ftrun.catalogue import installed
    from ftrun.run.session import resume as resume_session

    resume_session(folder, installed(folder.local_parts()), epochs, device)


@main.command()
@RUN
@click.option("--dataset", metavar="SPEC", help="Other data, as in a spec: a name, family/member or a JSON object.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Judge on this split alone.")
@DEVICE
@AS_JSON
def evaluate(run: Path, dataset: str | None, split: str | None, device: str | None, as_json: bool) -> None:
    """Judge the best epoch of RUN again: on its own data, or on other data of the same classes.

    On its own data, the figures are those of results.json. Classes of other data are matched by name.
    """
    folder = _judgeable(run)
    from ftrun.run.judge import judge

    _print(judge(folder, dataset, split, device), _figures_text, as_json)


@main.command()
@RUN
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="How many classes to tell.")
@click.option("--csv", "to_csv", type=click.Path(path_type=Path), metavar="FILE", help="Write a CSV file.")
@DEVICE
@AS_JSON
def predict(
    run: Path, paths: tuple[str, ...], top: int, to_csv: Path | None, device: str | None, as_json: bool
) -> None:
    """Tell what the best epoch of RUN says of images: files, folders, globs, or - for a list on standard input.

    Files that cannot be read are told on standard error, and the rest goes on; exit code 4 at the end.
    """
    from ftrun.filelist import listed

    if as_json and to_csv:
        raise SpecError("give --json or --csv, not both.")
    if to_csv and not to_csv.parent.is_dir():
        raise SpecError(f"--csv {to_csv}: there is no folder {to_csv.parent}.")
    folder = _judgeable(run)
    files = listed(paths, _standard_input())
    if not files:
        raise SpecError(f"no files to predict on in {', '.join(map(click.format_filename, paths))}.")
    from ftrun.run.predict import predict as predict_files

    predict_files(folder, files, top, device, as_json=as_json, to_csv=to_csv)


@main.command()
@RUN
def report(run: Path) -> None:
    """Write report.html into RUN: curves, errors by class, samples, how it was made, on one page that needs no network.

    Every run does so at its end. Of a run that is not finished, the report says what there is.
    """
    folder = _judgeable(run)
    from ftrun.report import write

    path, notes = write.again(folder)
    for note in notes:
        click.echo(note, err=True)
    click.echo(f"report: {click.format_filename(path)}")


@main.command()
@RUN
@click.option("--format", "name", metavar="NAME", help="What to write; told by the name of --out if not given.")
@click.option("--set", "options", metavar="OPTION=VALUE", multiple=True, help="An option of the format: opset=20.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="The file; RUN/exports/NAME.SUFFIX if not given."
)
@click.option("--raw", is_flag=True, help="The bare net: prepared inputs in, outputs as they are.")
@click.option("--int8", is_flag=True, help="In 8-bit integers, with ranges from training samples.")
@click.option(
    "--max-drop", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="Accuracy that --int8 may cost."
)
@click.option(
    "--bound",
    type=click.FloatRange(min=0, max=1),
    default=1e-4,
    show_default=True,
    help="How far a probability may be from the run's.",
)
@click.option(
    "--samples", type=click.IntRange(min=1), default=1000, show_default=True, help="Samples of val to compare on."
)
@click.option("--dataset", metavar="SPEC", help="Other data to compare on, as in a spec.")
@click.option("--device", metavar="DEVICE", help="Where the run's own net computes; the CPU if not given.")
@AS_JSON
def export(
    run: Path, name: str | None, options: tuple[str, ...], out: Path | None, as_json: bool, **request: Any
) -> None:
    """Write the best epoch of RUN as a file that needs no ftrun: ONNX, torch.export, safetensors.

    Images go in as uint8, probabilities come out. The file is opened again and compared with the run on its validation
    samples; if it says anything else, it is not kept, and the exit code is 1. `ftrun plugins exporter` lists formats.
    """
    folder = _judgeable(run)
    from ftrun.catalogue import installed
    from ftrun.formats import exporter, that_quantize

    catalogue = installed(folder.local_parts())
    part = exporter(catalogue, name, options, out)
    if request["int8"] and not part.quantizes:
        raise SpecError(f"--int8: the format {part.name!r} has no 8-bit integers. {that_quantize(catalogue)}")
    from ftrun.run.export import Request, about
    from ftrun.run.export import export as export_run

    _print(export_run(folder, Request(part, out, **request), catalogue), about.text, as_json)


@main.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default="runs")
@AS_JSON
def runs(folder: Path, as_json: bool) -> None:
    """List the runs in DIR, `runs` if not given: state, best figure, backbone and age."""
    from ftrun.runs import runs as found
    from ftrun.runs import runs_text

    _print(found(folder), runs_text, as_json)


@main.command()
@RUN
@click.argument("repository")
@click.option("--to", "name", metavar="NAME", help="The hub; the only one that is installed if not given.")
@click.option("--set", "options", metavar="OPTION=VALUE", multiple=True, help="An option of the hub.")
@click.option("--private", is_flag=True, help="For nobody else to see.")
@click.option("--message", metavar="TEXT", help="What the commit says; the run's name and figure if not given.")
@click.option("--dry-run", is_flag=True, help="Say what would go there, and push nothing.")
def push(
    run: Path,
    repository: str,
    name: str | None,
    options: tuple[str, ...],
    private: bool,
    message: str | None,
    dry_run: bool,
) -> None:
    """Bring RUN, a finished run, to REPOSITORY on a model hub: weights, net.json, model card, results, report, exports.

    What training goes on from, predictions and the log stay here. resolved.json holds the paths that the spec names.
    """
    from ftrun import push as pushing
    from ftrun.catalogue import installed
    from ftrun.listing import size

    folder = _judgeable(run)
    hub = pushing.hub(installed(folder.local_parts()), name, options)
    if message is not None and not message.strip():
        raise SpecError("--message: is empty.")
    pushing.check_finished(folder)
    if not dry_run:
        pushing.prepare(folder)
    files = pushing.files(folder)
    for there, path in files.items():
        click.echo(f"{size(path.stat().st_size):>9}  {click.format_filename(there)}")
    if dry_run:
        click.echo(f"would go to {repository}, {hub.name}{', private' if private else ''}; nothing was pushed")
        return
    place = hub.build().push(files, repository, message=message or pushing.message(folder), private=private)
    click.echo(f"pushed: {pushing.address(place)}")


@main.command()
@click.argument("runs", metavar="RUN...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page that needs no network.")
@click.option("--overwrite", is_flag=True, help="Replace the file that --html names, if it is there.")
@AS_JSON
def compare(runs: tuple[Path, ...], html: Path | None, overwrite: bool, as_json: bool) -> None:
    """Set RUNs side by side, and say of each whether it is better than the first, worse, or whether one cannot tell.

    Figures, parameters, time, size, and what differs between their specs. On the same samples: McNemar's test of
    accuracy, and bootstrap intervals of the difference in each figure.
    """
    from ftrun.run.compare import check_page

    if html:
        check_page(html, overwrite)
    if len(runs) < 2:
        raise SpecError("name two runs or more: ftrun compare RUN RUN...")
    for each in runs:
        _judgeable(each)
    from ftrun.run.compare.compare import compare as compare_runs

    found = compare_runs(runs)
    if html:
        from ftrun.run.compare.page import write

        write(found, html)
    if as_json:
        from ftrun.run.folder import to_json

        click.echo(to_json(found), nl=False)
    else:
        from ftrun.run.compare.text import text

        click.echo(text(found, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
        if html:
            click.echo(f"page: {click.format_filename(html)}")


@main.command("verify-resume")
@SPEC
@SET
@DEVICE
@click.option("--kills", type=click.IntRange(1, 100), default=3, show_default=True, help="How often to kill a run.")
@PARTS
def verify_resume(spec: Path, overrides: tuple[str, ...], device: str | None, kills: int, parts: Path | None) -> None:
    """See whether a killed and resumed run of SPEC ends as one that was not.

    Runs a short copy (two epochs of four steps, no test), straight and with SIGKILLs, and compares digests. Exit code
    1 if they differ.
    """
    _, checked, catalogue = _checked(spec, overrides, parts)
    from ftrun.run import rehearsal

    local = catalogue.local.path if catalogue.local else None
    trials = rehearsal.verify(checked.resolved(), kills, device, local)
    rows = [["killed after step", "resumed from step", *rehearsal.ASPECTS]]
    for trial in trials:
        verdicts = ["same" if trial.same[aspect] else "DIFFERENT" for aspect in rehearsal.ASPECTS]
        rows.append([str(trial.killed_after), str(trial.resumed_from), *verdicts])
    click.echo("\n".join(_columns(rows)))
    if not all(all(trial.same.values()) for trial in trials):
        raise FtrunError(
            "a resumed run of this spec does not end as an uninterrupted one. A part keeps state that is in no "
            "checkpoint, draws random numbers of its own, or computes on a device that is not exact."
        )
    click.echo("a resumed run of this spec ends as an uninterrupted one, to the bit")


@main.command()
@SPEC
@SET
@PARTS
@AS_JSON
def check(spec: Path, overrides: tuple[str, ...], parts: Path | None, as_json: bool) -> None:
    """Check SPEC, without loading data or weights; with train.phases, show what learns when."""
    from ftrun.check import InvalidSpec

    try:
        _, checked, _ = _checked(spec, overrides, parts)
        plan = _plan(checked)
    except FtrunError as error:
        if not as_json:
            raise
        mistakes = error.mistakes if isinstance(error, InvalidSpec) else []
        listed = [{"where": each.where, "message": each.message} for each in mistakes]
        _print_json({"valid": False, "errors": listed or [{"where": error.where, "message": error.message}]})
        sys.exit(exit_code(error))
    if as_json:
        _print_json({"valid": True, "spec": checked.resolved(), "plan": plan})
    else:
        click.echo("\n".join([f"{click.format_filename(spec)}: valid", *_columns(plan or [])]))


@main.command()
@click.argument("what", required=False)
@click.option("--why", metavar="NAME", help="Say where a plugin, module or part is from, or why it is not loaded.")
@PARTS
@AS_JSON
def plugins(what: str | None, why: str | None, parts: Path | None, as_json: bool) -> None:
    """List the installed plugins; WHAT, a role or a part's name, shows options.

    FTRUN_PLUGINS=a,b loads only these. With FTRUN_STRICT_PLUGINS=1, any plugin that is broken or clashes is an error.
    """
    from ftrun import listing
    from ftrun.catalogue import as_found, installed

    if why is not None:
        from ftrun import why as reasons

        if what is not None:
            raise SpecError(f"give WHAT or --why NAME, not both: ftrun plugins --why {why}")
        _print(reasons.why(as_found(_given_parts(parts)), why), reasons.why_text, as_json)
        return
    catalogue = installed(_given_parts(parts))
    if what is None:
        _print(listing.plugins(catalogue), listing.plugins_text, as_json)
    else:
        _print(listing.parts(catalogue, what), listing.parts_text, as_json)


@main.command()
@click.option("--clear", is_flag=True, help="Remove everything from it.")
@AS_JSON
def cache(clear: bool, as_json: bool) -> None:
    """Show what is kept to be quick: samples from files, decoded."""
    from ftrun import cachefolder, listing

    if clear:
        click.echo(f"removed {listing.size(cachefolder.clear())} from {cachefolder.folder()}")
    else:
        _print(cachefolder.as_json(), listing.cache_text, as_json)


@main.command("new-plugin")
@click.argument("role")
@click.argument("name")
@click.option(
    "--into", type=click.Path(path_type=Path), default=".", metavar="DIR", help="Where to make it; here if not given."
)
def new_plugin(role: str, name: str, into: Path) -> None:
    """Make the folder ftrun-NAME: a plugin with one part of ROLE that works, to be changed into yours.

    ROLE is dataset, backbone, modifier, augmentation, loss, optimizer, scheduler, metric, observer, exporter or hub.
    """
    from ftrun.scaffold import new_plugin as make

    made = make(role, name, into)
    click.echo(
        f"{made.folder}: made, with {made.role} {made.name!r}. To install and test it:\n\n"
        f"  cd {shlex.quote(str(made.folder))}\n"
        f"  pip install -e . pytest\n"
        f"  pytest\n\n"
        f"{made.use}:\n\n"
        f"  {made.fragment}"
    )


@main.command("check-plugin")
@click.argument("name")
@click.option(
    "--set",
    "options",
    metavar="PART.OPTION=VALUE",
    multiple=True,
    help="Options to try a part with: my-data.path=photos.",
)
@click.option("--input", "input_", metavar="JSON", help='What a spec would say as `input`: {"size": 64}.')
@click.option("--backbone", default="tiny-net", show_default=True, help="What modifiers and exporters are tried on.")
@AS_JSON
def check_plugin(name: str, options: tuple[str, ...], input_: str | None, backbone: str, as_json: bool) -> None:
    """Check that the plugin NAME, an installed distribution or its module, keeps ftrun's contract.

    Says of each part and property whether it holds and, if not, what is wrong and how to mend it; exit code 3 then.
    """
    from ftrun.testing import command

    results = command.check(name, options, input_, backbone, None if as_json else click.echo)
    if as_json:
        _print_json(results)
    failed = [result for result in results if not result["passed"]]
    if failed:
        raise PluginError(f"{name} does not keep the contract: {len(failed)} of {len(results)} checks failed.")
    if not as_json:
        click.echo(f"{name} keeps the contract: {len(results)} checks passed")


@main.command()
@PARTS
@AS_JSON
def schema(parts: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of a spec, given what is installed."""
    from ftrun.catalogue import installed
    from ftrun.runspec import json_schema

    _print_json(json_schema(installed(_given_parts(parts))))


def _checked(path: Path, overrides: tuple[str, ...], parts: Path | None) -> "tuple[str, RunSpec, Catalogue]":
    from ftrun.catalogue import installed
    from ftrun.check import check_spec
    from ftrun.specfile import read_spec

    text, data = read_spec(path, list(main.commands))
    catalogue = installed(_given_parts(parts) or _named_parts(path, data, overrides))
    return text, check_spec(data, catalogue, name=str(path), overrides=overrides), catalogue


def _given_parts(parts: Path | None) -> "PartsFile | None":
    """The file that --parts names."""
    from ftrun.localparts import PartsFile

    with located("--parts"):
        return PartsFile.read(parts) if parts is not None else None


def _named_parts(spec: Path, data: dict[str, Any], overrides: tuple[str, ...]) -> "PartsFile | None":
    """The file that a spec names, relative to the folder that the spec is in."""
    from ftrun.check import InvalidSpec, Mistake
    from ftrun.localparts import PartsFile
    from ftrun.specfile import parts_named

    name = parts_named(data, overrides)
    try:
        return PartsFile.read(spec.parent / name) if name else None
    except SpecError as error:
        raise InvalidSpec(str(spec), [Mistake("parts", str(error))]) from None


def _judgeable(run: Path) -> "RunFolder":
    """The folder of a run that has a best epoch; told before anything heavy loads."""
    from ftrun.run.folder import RunFolder

    folder = RunFolder.existing(run)
    folder.best()
    return folder


def _standard_input() -> Iterator[str]:
    """Its lines, once they are asked for; a file's name may be no text."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    yield from sys.stdin


def _figures_text(judged: dict[str, Any]) -> str:
    samples = judged["samples"]
    lines = [f"{judged['run']}, epoch {judged['epoch']}, on {judged['dataset']['name']}"]
    for split in samples:
        figures = [f"{name} {value:.4f}" for name, value in judged[split].items() if isinstance(value, float)]
        lines.append(f"{split}: {'  '.join(figures)}  ({samples[split]:,} samples)")
    return "\n".join(lines)


def _plan(spec: "RunSpec") -> list[list[str]] | None:
    """What learns when: it is the net that knows its stages, so this loads torch, if there are phases."""
    if spec.train.phases is None:
        return None
    from ftrun.run.phases import table_of

    return table_of(spec)


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _print(value: Any, as_text: Callable[[Any], str], as_json: bool) -> None:
    if as_json:
        _print_json(value)
    else:
        click.echo(as_text(value))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
