"""The process of the command line: what OpenMP, torch and the C library read before torch is loaded, and its end."""

import atexit
import ctypes
import os
import sys
import threading
from typing import Any

from ftrun.train import accel

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_OF_HEAP = 2**25  # bytes: glibc takes no more


def configure_process() -> None:
    """Let pydantic begin at once; unless FTRUN_ACCEL is 0, let threads wait as long as it pays, and freed memory stay.

    What pydantic would begin with is to look through all that is installed for plugins of its own: a tenth of the time
    in which a spec is found wrong.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if not accel.enabled():
        return
    if "OMP_WAIT_POLICY" not in os.environ:
        # OpenMP's threads spin while they wait: libgomp's for 300,000 turns, milliseconds, on cores that somebody else
        # may need. But one that sleeps has to wait for its turn when it is woken, many times a step, if others are at
        # work too. Two runs of ResNet-18 at 32 px on two cores, ms a step: over 3,000 with 1,000 or 5,000 turns, 320
        # with 100,000, 500 with libgomp's own. (Beside a program that is busy all the time, the latter is quicker: 550
        # against 1,050.) It has to be set before torch loads.
        os.environ.setdefault("GOMP_SPINCOUNT", "100000")
    # A tensor of more than 32 MB is taken from the system anew in each step, in pages of 4 KB, each of which has to be
    # faulted in: up to a third of the time of a large batch. With this, torch asks for pages of 2 MB (Linux).
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed: it gives back the end of its heap after each step, and faults it in in the next.

    That takes 6 % of a step of ResNet-18 at 64 pixels, and more of a smaller one (mallopt(3)).
    """
    if sys.platform != "linux" or any(f"MALLOC_{each}_THRESHOLD_" in os.environ for each in ("TRIM", "MMAP")):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # else it is another C library
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_OF_HEAP)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def fast_exit(code: Any) -> None:
    """End this process with an exit code, without taking its modules apart.

    That takes a tenth of the time of `ftrun schema`, and a second where torch is loaded.

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
