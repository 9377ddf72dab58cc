"""Weight files as they come, for backbones: read without running anything in them. Brings no parts."""

from ftrun_weights.kinds import weight_file_kind
from ftrun_weights.read import Weights, read_weights

__all__ = ["Weights", "read_weights", "weight_file_kind"]
