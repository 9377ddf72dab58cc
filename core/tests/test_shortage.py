import errno
import os

import pytest

from ftrun.contracts.failures import shortage

TORCH = "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.jpg"), "too many open files"),
        (
            RuntimeError("Too many open files. Communication with the workers is no longer possible."),
            "too many open files",
        ),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "memory is short"),
        (MemoryError(), "memory is short"),
        (RuntimeError(TORCH), "memory is short"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory is short"),
        (RuntimeError("can't start new thread"), "no thread can be started"),
    ],
)
def test_what_is_short_is_told(error, what):
    message = shortage(error)
    assert message is not None
    assert message.startswith(what)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), FileNotFoundError(2, "no"), ImportError("no module")])
def test_what_is_about_something_else_keeps_its_traceback(error):
    assert shortage(error) is None
