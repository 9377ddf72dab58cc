"""SIGINT, SIGTERM and SIGHUP wait for the end of a step, a second one stops at once; SIGUSR1 asks for a checkpoint."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from ftrun.contracts.errors import Interrupted

_STOP = (signal.SIGINT, signal.SIGTERM)
_HANG_UP = signal.SIGHUP  # a terminal that is closed, or a connection that is lost
_SAVE = signal.SIGUSR1


class Signals:
    """While this context is entered, the first signal to stop is kept for `check`, and the second exits at once."""

    def __init__(self) -> None:
        self.save_asked = False
        """Whether SIGUSR1 came since the last checkpoint."""
        self._received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there does Python let us handle signals
            self._previous = {number: signal.signal(number, self._stop) for number in _STOP}
            if signal.getsignal(_HANG_UP) is not signal.SIG_IGN:  # nohup has it ignored
                self._previous[_HANG_UP] = signal.signal(_HANG_UP, self._stop)
            self._previous[_SAVE] = signal.signal(_SAVE, self._save)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise SystemExit(128 + number)
        self._received = number

    def _save(self, number: int, frame: FrameType | None) -> None:
        self.save_asked = True

    @property
    def waiting(self) -> bool:
        """Whether there is a signal to heed."""
        return self.save_asked or self._received is not None

    def check(self) -> None:
        """Raise Interrupted if a signal to stop is waiting."""
        if self._received is not None:
            raise Interrupted(self._received)
