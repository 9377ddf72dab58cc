"""What a plugin may implement, all of it optional: a hook for each role, which offers classes; commands; and what is
done with a run that has finished.

@ftrun.hookimpl
def ftrun_optimizers():
    return [SGD, Adam]
"""

from collections.abc import Iterable

from ftrun.contracts import specs
from ftrun.contracts.commands import Command
from ftrun.contracts.events import FinishedRun
from ftrun.contracts.markers import PROJECT as PROJECT
from ftrun.contracts.markers import hookimpl as hookimpl
from ftrun.contracts.markers import hookspec


@hookspec
def ftrun_datasets() -> Iterable[type[specs.Dataset]]:
    """Offer datasets."""
    return ()


@hookspec
def ftrun_backbones() -> Iterable[type[specs.Backbone]]:
    """Offer backbones."""
    return ()


@hookspec
def ftrun_modifiers() -> Iterable[type[specs.Modifier]]:
    """Offer modifiers."""
    return ()


@hookspec
def ftrun_augmentations() -> Iterable[type[specs.Augmentation]]:
    """Offer augmentations."""
    return ()


@hookspec
def ftrun_losses() -> Iterable[type[specs.Loss]]:
    """Offer losses."""
    return ()


@hookspec
def ftrun_optimizers() -> Iterable[type[specs.Optimizer]]:
    """Offer optimizers."""
    return ()


@hookspec
def ftrun_schedulers() -> Iterable[type[specs.Scheduler]]:
    """Offer schedulers."""
    return ()


@hookspec
def ftrun_metrics() -> Iterable[type[specs.Metric]]:
    """Offer metrics."""
    return ()


@hookspec
def ftrun_observers() -> Iterable[type[specs.Observer]]:
    """Offer observers."""
    return ()


@hookspec
def ftrun_exporters() -> Iterable[type[specs.Exporter]]:
    """Offer exporters."""
    return ()


@hookspec
def ftrun_hubs() -> Iterable[type[specs.Hub]]:
    """Offer hubs."""
    return ()


@hookspec
def ftrun_commands() -> Iterable[Command]:
    """Offer commands of the command line."""
    return ()


@hookspec
def ftrun_run_finished(run: FinishedRun) -> None:
    """Do something with a run that has finished; called in the process that did it, for every run.

    What it raises is one line in the log, and changes neither the results nor the exit code.
    """


ROLE_OF_HOOK: dict[str, type[specs.Part]] = {
    "ftrun_datasets": specs.Dataset,
    "ftrun_backbones": specs.Backbone,
    "ftrun_modifiers": specs.Modifier,
    "ftrun_augmentations": specs.Augmentation,
    "ftrun_losses": specs.Loss,
    "ftrun_optimizers": specs.Optimizer,
    "ftrun_schedulers": specs.Scheduler,
    "ftrun_metrics": specs.Metric,
    "ftrun_observers": specs.Observer,
    "ftrun_exporters": specs.Exporter,
    "ftrun_hubs": specs.Hub,
}

COMMANDS, RUN_FINISHED = "ftrun_commands", "ftrun_run_finished"
HOOKS = (*ROLE_OF_HOOK, COMMANDS, RUN_FINISHED)
"""The names of all hooks of a plugin's module."""
