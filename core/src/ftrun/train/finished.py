"""What plugins do with a run that has finished: whatever goes wrong in it is one line, and changes nothing."""

import traceback
from contextlib import suppress

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.events import FinishedRun
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs.folder import RunFolder

_LOG = "log.txt"


def call_plugins(catalogue: Catalogue, run: FinishedRun) -> None:
    """Call the hook `ftrun_run_finished` of each plugin, by distribution."""
    for plugin in catalogue.plugins:
        if plugin.run_finished is None:
            continue
        with suppress(FtrunError):  # of saying it: the disk may be full
            try:
                plugin.run_finished(run)
            except FtrunError as error:
                run.say(f"{plugin.distribution}: {error}")
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                run.say(f"{plugin.distribution}: {reason}. The results are not affected; {_LOG} has the traceback.")
                RunFolder(run.folder).append_line(_LOG, traceback.format_exc().rstrip())
