"""`ftrun compare`: runs side by side, and whether one is better than another.

pairing     the same samples of two runs, or why there are none
measures    what they are compared in
paired      bootstrap, random swaps, McNemar, Holm
verdict     better, worse, or cannot tell, in words
specs       what differs between their specs
compare     all of it, as JSON values
text        the same for a terminal
page        the same as an HTML page
"""

from pathlib import Path

from ftrun.commands import check_new
from ftrun_report.libraries import check_libraries

MARK = " compared \N{EN DASH} ftrun</title>"
"""What the title of each page ends with."""


def check_page(path: Path, force: bool) -> None:
    """Raise what is wrong with a page that is to be written, before anything heavy loads."""
    check_libraries("the page")
    check_new("--html", path, force=force, own=is_page)


def is_page(path: Path) -> bool:
    """Return whether a file is a page of `ftrun compare`."""
    if not path.is_file():  # a pipe would never end
        return False
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(8192)
    except OSError:
        return False
