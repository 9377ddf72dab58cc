"""Standard output and error that raise one message, or nothing, where they cannot be written."""

import errno
import os
import sys
from io import TextIOWrapper
from typing import Any

from ftrun.contracts.errors import CannotWrite


class Output(TextIOWrapper):
    """A text stream that raises CannotWrite once; what is written later goes nowhere, and a run goes on.

    Where a terminal is gone, nobody can read it. A closed pipe's error stays: its reader has read enough.
    """

    silent = False

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._check(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._check(error)

    def _check(self, error: OSError) -> None:
        """Raise what the user has to know of `error`, if anything."""
        if self.silent or (error.errno == errno.EIO and self.isatty()):
            return
        if error.errno == errno.EPIPE:
            raise error
        self.silent = True
        raise CannotWrite(f"cannot write the output: {error.strerror}.") from None


def wrap() -> None:
    """Make sys.stdout and sys.stderr such streams, in a process of the command line's own."""
    sys.stdout, sys.stderr = _wrapped(sys.stdout, silent=False), _wrapped(sys.stderr, silent=True)


def _wrapped(stream: Any, *, silent: bool) -> Any:
    if type(stream) is not TextIOWrapper:  # closed, or somebody else's
        return stream
    encoding, errors, by_line = stream.encoding, stream.errors, stream.line_buffering
    wrapped = Output(stream.detach(), encoding, errors, line_buffering=by_line)
    wrapped.silent = silent
    return wrapped


def finish() -> None:
    """Write what waits to be written. Raises CannotWrite, and then nothing waits any more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, CannotWrite):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
