"""What a plugin with commands of its own builds on, beside the names of `ftrun`: options, answers, checks of files.

The arguments and options are click decorators, such as `@RUN`; commands of plugins then look and behave as the core's.
"""

from ftrun.contracts.lazy import lazily

__all__, __getattr__ = lazily(__name__, __file__)
