"""The end of a process that has loaded torch."""

import atexit
import os
import sys
import threading
from typing import Any

from ftrun.train import accel


def fast_exit(code: Any) -> None:
    """End this process with an exit code, without taking its modules apart: with torch's, that takes a second.

    What else Python does at the end is done: threads end, functions that are registered with atexit are called, output
    is flushed. Returns where that cannot be, and Python's own end is to follow.
    """
    end_threads, call_registered = getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)
    if not accel.enabled() or not isinstance(code, int) or end_threads is None or call_registered is None:
        return
    end_threads()
    call_registered()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        return
    os._exit(code)
