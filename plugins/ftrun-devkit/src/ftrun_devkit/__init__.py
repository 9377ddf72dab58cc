"""For those who write plugins: a suite that says whether a plugin keeps ftrun's contract, and tiny parts to run.

    from ftrun_devkit import check_plugin

    test_contract = check_plugin("ftrun_mynet")

Under pytest this is one test for each part and property; `ftrun check-plugin ftrun-mynet` is the same on the command
line. `tiny_run(tmp_path, optimizer="my-optimizer")` trains a tiny net for two epochs, in about a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import ftrun

if TYPE_CHECKING:
    from ftrun_devkit.run import TinyRun, run_command, tiny_run, tiny_spec
    from ftrun_devkit.subject import ContractError
    from ftrun_devkit.suite import Check, check_plugin, checks_of

__all__ = ["Check", "ContractError", "TinyRun", "check_plugin", "checks_of", "run_command", "tiny_run", "tiny_spec"]

_HOME = {
    "TinyRun": "run",
    "run_command": "run",
    "tiny_run": "run",
    "tiny_spec": "run",
    "ContractError": "subject",
    "Check": "suite",
    "check_plugin": "suite",
    "checks_of": "suite",
}
"""The module of each name: `ftrun --help` imports this one, and none of these."""


@ftrun.hookimpl
def ftrun_commands() -> list[ftrun.Command]:
    """Offer `new-plugin`, `check-plugin` and `verify-resume`."""
    return [
        ftrun.Command(
            "new-plugin", "Make a plugin that works, to be changed into yours.", "ftrun_devkit.commands:new_plugin"
        ),
        ftrun.Command(
            "check-plugin", "Check that a plugin keeps ftrun's contract.", "ftrun_devkit.commands:check_plugin"
        ),
        ftrun.Command(
            "verify-resume",
            "Check that a killed and resumed run of a spec ends as one that was not.",
            "ftrun_devkit.commands:verify_resume",
        ),
    ]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ftrun_devkit.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ftrun_devkit' has no attribute {name!r}")
