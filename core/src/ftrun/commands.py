"""What a plugin with commands of its own builds on, beside the names of `ftrun`: options, answers, checks of files.

The arguments and options are click decorators, such as `@RUN`; commands of plugins then look and behave as the core's.
"""

from typing import TYPE_CHECKING

from ftrun.contracts.lazy import lazily

if TYPE_CHECKING:
    from ftrun.cli.common import AS_JSON, DEVICE, OTHER_DATA, PATH, RUN, SPEC, TRUST, answer, print_json
    from ftrun.contracts.numbers import is_figure, line_of, shown, shown_bytes, to_json
    from ftrun.contracts.printable import cell, printable, printable_lines
    from ftrun.data.files import sync, write_whole, writing
    from ftrun.inference.opened import Opened
    from ftrun.inference.samples import Samples
    from ftrun.plugins.building import build
    from ftrun.plugins.catalogue import Catalogue
    from ftrun.runs.console import error_console
    from ftrun.runs.newfile import check_new, check_no_input
    from ftrun.runs.predictions import Predictions
    from ftrun.runs.summaries import part_name
    from ftrun.spec.options import named_part

__all__ = [
    "AS_JSON",
    "DEVICE",
    "OTHER_DATA",
    "PATH",
    "RUN",
    "SPEC",
    "TRUST",
    "Catalogue",
    "Opened",
    "Predictions",
    "Samples",
    "answer",
    "build",
    "cell",
    "check_new",
    "check_no_input",
    "error_console",
    "is_figure",
    "line_of",
    "named_part",
    "part_name",
    "print_json",
    "printable",
    "printable_lines",
    "shown",
    "shown_bytes",
    "sync",
    "to_json",
    "write_whole",
    "writing",
]

_HOME = {
    "ftrun.cli.common": "AS_JSON DEVICE OTHER_DATA PATH RUN SPEC TRUST answer print_json",
    "ftrun.contracts.numbers": "is_figure line_of shown shown_bytes to_json",
    "ftrun.contracts.printable": "cell printable printable_lines",
    "ftrun.data.files": "sync write_whole writing",
    "ftrun.inference.opened": "Opened",
    "ftrun.inference.samples": "Samples",
    "ftrun.plugins.building": "build",
    "ftrun.plugins.catalogue": "Catalogue",
    "ftrun.runs.console": "error_console",
    "ftrun.runs.newfile": "check_new check_no_input",
    "ftrun.runs.predictions": "Predictions",
    "ftrun.runs.summaries": "part_name",
    "ftrun.spec.options": "named_part",
}
"""The public names of each module."""

__getattr__ = lazily(__name__, _HOME)
