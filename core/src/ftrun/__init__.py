"""ftrun: fine-tune pretrained models, assembled from installed plugins. These names are what a plugin may use."""

from ftrun.contracts.lazy import lazily

__version__ = "0.1.0"

# A name loads its module with its first use: the command line answers Ctrl-C before pydantic is loaded, and what needs
# torch (nets, in a plugin's build()) loads it where it is needed.
__all__, __getattr__ = lazily(__name__, __file__)
