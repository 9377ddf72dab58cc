"""The parts that are the core's own."""

from importlib.metadata import version

from ftrun.contracts.targets import CORE_KINDS
from ftrun.plugins.installed import Plugin


def core_plugin() -> Plugin:
    """Return the core as what offers them: no plugin of its own, so that it is not listed among these."""
    return Plugin("ftrun", version("ftrun"), "", "ftrun", parts=CORE_KINDS)
