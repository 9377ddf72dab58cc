"""The first module that a process of the command line loads: Ctrl-C ends it in one quiet line, at any moment."""

import os
import signal
from types import FrameType


def process() -> None:
    """Run the command line as a process of its own."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started it wants it otherwise
        signal.signal(signal.SIGINT, _interrupt)
    from ftrun.cli import process

    process()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or end at once while a module is imported.

    An import may swallow the exception (torch's does, at times), and has nothing to clean up.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"\ninterrupted\n")
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt
