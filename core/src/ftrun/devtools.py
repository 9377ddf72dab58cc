"""What a test kit for plugins needs of the core beside the public names of `ftrun`: the catalogue, checks and sessions.

For ftrun-devkit. Plugins that are not about plugins use the names of `ftrun` and `ftrun.commands` alone.
"""

from typing import TYPE_CHECKING

from ftrun.contracts.lazy import lazily

if TYPE_CHECKING:
    from ftrun.cli import main
    from ftrun.contracts.commands import CORE_COMMANDS, FIRST_PARTY_COMMANDS
    from ftrun.contracts.data import get_items
    from ftrun.contracts.errors import DivergedError, Interrupted
    from ftrun.contracts.hooks import ROLE_OF_HOOK
    from ftrun.contracts.randomness import reseed
    from ftrun.plugins.catalogue import Catalogue, as_found
    from ftrun.plugins.contract import part_names
    from ftrun.plugins.heavy import HEAVY
    from ftrun.plugins.installed import Plugin
    from ftrun.plugins.load import load_plugins
    from ftrun.runs.checkpoint import load_optimizer, optimizer_state
    from ftrun.runs.folder import RunFolder
    from ftrun.runs.packing import pack, unpack
    from ftrun.spec.check import check_spec
    from ftrun.spec.runspec import SLOTS, RunSpec
    from ftrun.spec.specfile import json_or_text
    from ftrun.train.loss import TotalLoss
    from ftrun.train.observers import Observers
    from ftrun.train.session import Request, resume, run
    from ftrun.train.signals import Signals

__all__ = [
    "CORE_COMMANDS",
    "FIRST_PARTY_COMMANDS",
    "HEAVY",
    "ROLE_OF_HOOK",
    "SLOTS",
    "Catalogue",
    "DivergedError",
    "Interrupted",
    "Observers",
    "Plugin",
    "Request",
    "RunFolder",
    "RunSpec",
    "Signals",
    "TotalLoss",
    "as_found",
    "check_spec",
    "get_items",
    "json_or_text",
    "load_optimizer",
    "load_plugins",
    "main",
    "optimizer_state",
    "pack",
    "part_names",
    "reseed",
    "resume",
    "run",
    "unpack",
]

_HOME = {
    "ftrun.cli": "main",
    "ftrun.contracts.commands": "CORE_COMMANDS FIRST_PARTY_COMMANDS",
    "ftrun.contracts.data": "get_items",
    "ftrun.contracts.errors": "DivergedError Interrupted",
    "ftrun.contracts.hooks": "ROLE_OF_HOOK",
    "ftrun.contracts.randomness": "reseed",
    "ftrun.plugins.catalogue": "Catalogue as_found",
    "ftrun.plugins.contract": "part_names",
    "ftrun.plugins.heavy": "HEAVY",
    "ftrun.plugins.installed": "Plugin",
    "ftrun.plugins.load": "load_plugins",
    "ftrun.runs.checkpoint": "load_optimizer optimizer_state",
    "ftrun.runs.folder": "RunFolder",
    "ftrun.runs.packing": "pack unpack",
    "ftrun.spec.check": "check_spec",
    "ftrun.spec.runspec": "SLOTS RunSpec",
    "ftrun.spec.specfile": "json_or_text",
    "ftrun.train.loss": "TotalLoss",
    "ftrun.train.observers": "Observers",
    "ftrun.train.session": "Request resume run",
    "ftrun.train.signals": "Signals",
}
"""The names of each module."""

__getattr__ = lazily(__name__, _HOME)
