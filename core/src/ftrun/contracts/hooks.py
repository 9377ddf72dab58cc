"""What a plugin may implement: one hook for each role, each offering classes. All are optional.

@ftrun.hookimpl
def ftrun_optimizers():
    return [SGD, Adam]
"""

from collections.abc import Iterable

import pluggy

from ftrun.contracts import specs

PROJECT = "ftrun"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


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
