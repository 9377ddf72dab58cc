"""What a test kit for plugins needs of the core beside the public names of `ftrun`: the catalogue, checks and sessions.

For ftrun-devkit. Plugins that are not about plugins use the names of `ftrun` and `ftrun.commands` alone.
"""

from ftrun.contracts.lazy import lazily

__all__, __getattr__ = lazily(__name__, __file__)
