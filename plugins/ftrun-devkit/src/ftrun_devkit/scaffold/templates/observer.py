"""Observer `template`: a text file with a line an epoch.

An observer follows a run, and may end it, but changes nothing else. If it raises,
it is reported and dropped; the run goes on.
"""

from collections.abc import Mapping
from typing import Any, Literal

import ftrun
from pydantic import Field

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

FILE = "epochs.txt"


class Template(ftrun.Observer):
    """Writes a line an epoch to `epochs.txt` in the run folder."""

    name: Literal["template"]
    figures: tuple[str, ...] = Field(
        ("train/loss", "val/loss"),
        description="What a line holds, by its names in metrics.jsonl.",
    )

    def build(self) -> object:
        """An object that follows one run."""
        return EpochLines(self.figures)


class EpochLines:
    """The marked methods are called as the run goes on, each with what it asks for.

    There are five of them, all optional. `ftrun_should_stop` is not here: what it
    returns, a reason, ends the run after an epoch.
    """

    def __init__(self, figures: tuple[str, ...]) -> None:
        self.figures = figures

    @ftrun.hookimpl
    def ftrun_before_run(self, run: ftrun.RunInfo) -> None:
        """Nothing is trained yet, or the run is taken up again after some epochs."""
        path = run.folder / FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        # Epochs since the checkpoint that it goes on from are trained once more.
        kept = lines[: run.epochs_done]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    @ftrun.hookimpl
    def ftrun_after_epoch(self, run: ftrun.RunInfo, epoch: ftrun.EpochInfo) -> None:
        """An epoch is trained, evaluated on val and saved."""
        shown = [name for name in self.figures if name in epoch.metrics]
        figures = [f"{name} {epoch.metrics[name]:.4f}" for name in shown]
        best = ["best"] if epoch.best else []
        _add_line(run, f"epoch {epoch.epoch}", *figures, *best)

    @ftrun.hookimpl
    def ftrun_after_run(self, run: ftrun.RunInfo, results: Mapping[str, Any]) -> None:
        """The run has finished; `results` is what results.json holds."""
        _add_line(run, "finished", f"best epoch {results['best_epoch']}")

    @ftrun.hookimpl
    def ftrun_on_error(self, run: ftrun.RunInfo, error: BaseException) -> None:
        """The run fails, diverges or is interrupted."""
        _add_line(run, "stopped", f"{type(error).__name__}: {error}")


def _add_line(run: ftrun.RunInfo, *cells: str) -> None:
    with (run.folder / FILE).open("a", encoding="utf-8") as file:
        file.write("  ".join(cells) + "\n")


@ftrun.hookimpl
def ftrun_observers() -> list[type[ftrun.Observer]]:
    return [Template]
