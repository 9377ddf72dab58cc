"""For backbones: weight files, read without running anything in them, and how nets train well. Brings no parts."""

from ftrun_weights.kinds import weight_file_kind
from ftrun_weights.ranges import image_ranges
from ftrun_weights.read import Weights, read_weights

__all__ = ["Weights", "image_ranges", "read_weights", "weight_file_kind"]
