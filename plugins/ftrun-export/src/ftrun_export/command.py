"""The command `export`: what is wrong with the command line is reported before anything heavy loads."""

from pathlib import Path
from typing import Any

import click

import ftrun
from ftrun.commands import AS_JSON, OTHER_DATA, PATH, RUN, TRUST, answer

_NET = ("backbone", "modifiers", "head")
"""The keys of a spec whose parts a net is built from."""


@click.command()
@RUN
@click.option("--format", "name", metavar="NAME", help="What to write; told by the name of --out if not given.")
@click.option("--set", "options", metavar="OPTION=VALUE", multiple=True, help="An option of the format: opset=20.")
@click.option("--out", type=PATH, metavar="FILE", help="The file; RUN/exports/NAME.SUFFIX if not given.")
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
@OTHER_DATA
@TRUST
@click.option("--device", metavar="DEVICE", help="Where the run's own net computes; the CPU if not given.")
@AS_JSON
def export(
    run: Path, name: str | None, options: tuple[str, ...], out: Path | None, trust: bool, as_json: bool, **request: Any
) -> None:
    """Write the best epoch of RUN as a file that needs no ftrun: ONNX, torch.export, safetensors.

    Images go in as uint8, texts as tokens; probabilities come out. The file is opened again and compared with the run
    on its validation samples; if it says anything else, it is not kept, and the exit code is 1. `ftrun plugins
    exporter` lists formats.
    """
    opened = ftrun.open(run, trust=trust)
    _ = opened.weights  # raises where there are none yet, before anything heavy loads
    from ftrun_export.formats import exporter, that_quantize

    other = request["dataset"]
    keys = _NET if other else (*_NET, "dataset")
    catalogue = opened.catalogue(keys, named=[("exporter", name), ("dataset", other)])
    part = exporter(catalogue, name, options, out)
    if request["int8"] and not part.quantizes:
        raise ftrun.SpecError(f"--int8: the format {part.name!r} has no 8-bit integers. {that_quantize(catalogue)}")
    from ftrun_export import about
    from ftrun_export.exporting import Request
    from ftrun_export.exporting import export as export_run

    answer(export_run(opened, Request(part, out, **request), catalogue), about.text, as_json)
