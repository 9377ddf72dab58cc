"""What plugins do with a run that has finished: whatever goes wrong in it is one line, and changes nothing."""

from ftrun.contracts.events import FinishedRun
from ftrun.plugins.catalogue import Catalogue


def call_plugins(catalogue: Catalogue, run: FinishedRun) -> None:
    """Call the hook `ftrun_run_finished` of each plugin, by distribution; again, where its results were changed."""
    for plugin in catalogue.plugins:
        if plugin.run_finished is not None:
            with run.tolerating(plugin.distribution):
                plugin.run_finished(run)
