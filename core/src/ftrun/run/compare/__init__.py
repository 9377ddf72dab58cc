"""`ftrun compare`: runs side by side, and whether one is better than another.

contender   a run, as its folder tells of it
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

from ftrun.report.write import needed
from ftrun.runs.newfile import check_new, is_page


def check_page(path: Path, force: bool) -> None:
    """Raise what is wrong with a page that is to be written, before anything heavy loads."""
    needed("the page")
    check_new("--html", path, force=force, own=is_page)
