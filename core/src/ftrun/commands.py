"""What a plugin with commands of its own builds on, beside the names of `ftrun`: options, answers, checks of files.

The arguments and options are click decorators, such as `@RUN`; commands of plugins then look and behave as the core's.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftrun.cli.common import AS_JSON, DEVICE, OTHER_DATA, PATH, RUN, SPEC, TRUST, answer, print_json
    from ftrun.contracts.figures import is_figure, line_of, shown, to_json
    from ftrun.contracts.printable import cell, printable, printable_lines
    from ftrun.data.files import write_whole
    from ftrun.runs.newfile import check_new, check_no_input
    from ftrun.spec.options import with_options

__all__ = [
    "AS_JSON",
    "DEVICE",
    "OTHER_DATA",
    "PATH",
    "RUN",
    "SPEC",
    "TRUST",
    "answer",
    "cell",
    "check_new",
    "check_no_input",
    "is_figure",
    "line_of",
    "print_json",
    "printable",
    "printable_lines",
    "shown",
    "to_json",
    "with_options",
    "write_whole",
]

_HOME = {
    "ftrun.cli.common": "AS_JSON DEVICE OTHER_DATA PATH RUN SPEC TRUST answer print_json",
    "ftrun.contracts.figures": "is_figure line_of shown to_json",
    "ftrun.contracts.printable": "cell printable printable_lines",
    "ftrun.data.files": "write_whole",
    "ftrun.runs.newfile": "check_new check_no_input",
    "ftrun.spec.options": "with_options",
}
"""The public names of each module."""


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'ftrun.commands' has no attribute {name!r}")
