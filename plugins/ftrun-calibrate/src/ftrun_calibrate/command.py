"""The command. Nothing heavy is loaded before what it is called with is known to be right."""

from pathlib import Path
from typing import Any

import click

import ftrun
from ftrun.commands import AS_JSON, DEVICE, OTHER_DATA, RUN, TRUST, answer, shown


@click.command()
@RUN
@click.option("--only", type=click.Choice(["temperature", "thresholds"]), help="Fit this alone; both if not given.")
@click.option("--off", is_flag=True, help="Put everything back as training left it.")
@OTHER_DATA
@TRUST
@DEVICE
@AS_JSON
def calibrate(
    run: Path, only: str | None, off: bool, other_data: bool, trust: bool, device: str | None, as_json: bool
) -> None:
    """Fit the best epoch of RUN to its validation samples: a temperature, and a threshold of each label.

    The temperature makes a probability of 0.8 hold in about 80 of 100 cases; which class is the likeliest stays. Labels
    hold from the threshold on at which their F1 is best. Predictions, evaluations, exports and reports go by them
    from then on; results.json has the metrics with them and, where that is another number, without.
    """
    opened = ftrun.open(run, trust=trust)
    if opened.results is None:
        raise ftrun.SpecError(f"{run} is {opened.status.get('state')}: only a finished run can be calibrated.")
    if off and only:
        raise ftrun.SpecError("--off puts everything back: leave --only out.")
    from ftrun.commands import error_console
    from ftrun_calibrate import calibrating

    say = error_console().say
    if off:
        made = calibrating.uncalibrate(opened, say=say)
        answer(made, lambda made: f"{made['run']}: as training left it", as_json)
        return
    made = calibrating.calibrate(opened, only=only, device=device, other_data=other_data, say=say)
    answer(made, _text, as_json)


def _text(made: dict[str, Any]) -> str:
    """Return what was fitted, in a few lines."""
    lines = []
    for name, fitted in made["targets"].items():
        before, after = (shown(fitted["log_loss"][when]) for when in ("before", "after"))
        lines.append(
            f"{name}: temperature {fitted['temperature']:.3f}, log loss on {made['split']} {before} -> {after} "
            f"({fitted['samples']:,} samples)"
        )
        if chosen := fitted.get("thresholds"):
            moved = [each for each in chosen.values() if each != 0.5]
            span = f", {len(moved)} of them from {min(moved):.3f} to {max(moved):.3f}" if moved else ", all at 0.5"
            lines.append(f"{name}: thresholds of {len(chosen):,} labels{span}")
        lines += [f"{name}: {note}" for note in fitted["notes"]]
    for split, figures in made["before"].items():
        for name, before in figures.items():
            lines.append(f"{split} {name} {_figure(before)} -> {_figure(made['after'][split][name])}")
    return "\n".join([*lines, f"results: {Path(made['run']) / 'results.json'}"])


def _figure(value: float | None) -> str:
    return "undefined" if value is None else shown(value)
