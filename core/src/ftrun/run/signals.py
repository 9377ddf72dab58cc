"""SIGINT and SIGTERM wait for the end of a step; a second one stops at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from ftrun.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """While this context is entered, the first signal is kept for `check`, and the second exits at once."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there does Python let us handle signals
            self._previous = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise SystemExit(128 + number)
        self._received = number

    def check(self) -> None:
        """Raise Interrupted if a signal is waiting."""
        if self._received is not None:
            raise Interrupted(self._received)
