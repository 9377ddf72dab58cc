"""Commands `report`, `compare` and `push`; each run's model card and report, written as it finishes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import ftrun

if TYPE_CHECKING:
    from ftrun_report.compare.measures import Mean, Measure, Outcomes

__all__ = ["Mean", "Measure", "Outcomes"]

FTRUN_API = "2.0"


@ftrun.hookimpl
def ftrun_commands() -> list[ftrun.Command]:
    help_of = {
        "report": "Write report.html into a run folder: curves, errors by class, samples, how it was made.",
        "compare": "Set runs side by side, and say of each whether it is better than the first.",
        "push": "Bring a finished run to a model hub.",
    }
    return [ftrun.Command(name, text, f"ftrun_report.commands:{name}") for name, text in help_of.items()]


@ftrun.hookimpl
def ftrun_run_finished(run: ftrun.FinishedRun) -> None:
    from ftrun_report import card
    from ftrun_report.report import write

    card.write_after_run(run)
    write.write_after_run(run)


def __getattr__(name: str) -> Any:
    if name in __all__:  # loaded with their first use: they need torch
        return getattr(import_module("ftrun_report.compare.measures"), name)
    raise AttributeError(f"module 'ftrun_report' has no attribute {name!r}")
