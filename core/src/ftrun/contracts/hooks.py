"""What a plugin may implement, all of it optional: a hook for each role, which offers classes; commands; and what is
done with a run that has finished.

@ftrun.hookimpl
def ftrun_optimizers():
    return [SGD, Adam]
"""

from collections.abc import Iterable
from typing import Any

from ftrun.contracts import specs
from ftrun.contracts.commands import Command
from ftrun.contracts.events import FinishedRun
from ftrun.contracts.markers import PROJECT as PROJECT
from ftrun.contracts.markers import hookspec
from ftrun.contracts.targets import Target

ROLE_OF_HOOK: dict[str, type[specs.Part]] = {
    "ftrun_datasets": specs.Dataset,
    "ftrun_targets": Target,
    "ftrun_samplers": specs.Sampler,
    "ftrun_backbones": specs.Backbone,
    "ftrun_modifiers": specs.Modifier,
    "ftrun_heads": specs.Head,
    "ftrun_augmentations": specs.Augmentation,
    "ftrun_losses": specs.Loss,
    "ftrun_objectives": specs.Objective,
    "ftrun_optimizers": specs.Optimizer,
    "ftrun_schedulers": specs.Scheduler,
    "ftrun_metrics": specs.Metric,
    "ftrun_recipes": specs.Recipe,
    "ftrun_observers": specs.Observer,
    "ftrun_exporters": specs.Exporter,
    "ftrun_hubs": specs.Hub,
}
"""The hooks that offer parts: each returns classes of one role."""


def _offers_parts() -> Iterable[type[specs.Part]]:
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


COMMANDS, RUN_FINISHED = "ftrun_commands", "ftrun_run_finished"
HOOKS: dict[str, Any] = {
    **dict.fromkeys(ROLE_OF_HOOK, hookspec(_offers_parts)),
    COMMANDS: ftrun_commands,
    RUN_FINISHED: ftrun_run_finished,
}
"""All hooks of a plugin's module, by name."""
