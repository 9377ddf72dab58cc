"""Commands of the command line that plugins bring. Loads nothing: `ftrun --help` reads them."""

from dataclasses import dataclass

CORE_COMMANDS = (
    "run", "resume", "evaluate", "predict", "check", "runs", "plugins", "schema", "cache",
)  # fmt: skip
"""The core's own commands: no plugin can take their names."""

FIRST_PARTY_COMMANDS = {
    "report": "ftrun-report", "compare": "ftrun-report", "push": "ftrun-report",
    "export": "ftrun-export", "calibrate": "ftrun-calibrate",
    "new-plugin": "ftrun-devkit", "check-plugin": "ftrun-devkit", "verify-resume": "ftrun-devkit",
}  # fmt: skip
"""Commands that a distribution of ours brings: what to install is told where one is missing."""


@dataclass(frozen=True)
class Command:
    """A command that a plugin brings, as its hook `ftrun_commands` offers it.

    name: as it is typed after `ftrun`: lower-case letters, digits and hyphens
    help: one line for `ftrun --help`
    target: "module:function" of a click command, imported when it is called
    """

    name: str
    help: str
    target: str
