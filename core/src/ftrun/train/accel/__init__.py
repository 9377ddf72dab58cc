"""What uses private APIs of torch for speed, each with the public way next to it. FTRUN_ACCEL=0 takes the public ways.

finite     whether loss and gradients are finite, in one pass
graphs     a step as a CUDA graph; `buffers`, what a step changes besides the weights
"""

import os

SWITCH = "FTRUN_ACCEL"


def enabled() -> bool:
    """Return whether private APIs are used: unless FTRUN_ACCEL is 0. The weights are the same in either case."""
    return os.environ.get(SWITCH) != "0"
