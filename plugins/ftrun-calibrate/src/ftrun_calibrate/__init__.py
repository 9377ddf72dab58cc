"""Command `calibrate`: a temperature, and thresholds of labels, fitted to a finished run's val."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import ftrun

if TYPE_CHECKING:
    from ftrun_calibrate.calibrating import calibrate, uncalibrate

__all__ = ["calibrate", "uncalibrate"]

FTRUN_API = "2.0"


@ftrun.hookimpl
def ftrun_commands() -> list[ftrun.Command]:
    """Offer `calibrate`."""
    text = "Fit RUN's probabilities, and thresholds of labels, to its val: for predictions and exports."
    return [ftrun.Command("calibrate", text, "ftrun_calibrate.command:calibrate")]


def __getattr__(name: str) -> Any:
    if name in __all__:  # loaded with their first use: they need torch
        return getattr(import_module("ftrun_calibrate.calibrating"), name)
    raise AttributeError(f"module 'ftrun_calibrate' has no attribute {name!r}")
