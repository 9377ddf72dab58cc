"""Processes that begin with torch loaded: forked off one process that has imported it and computed nothing.

For tests of what a process does, in a tenth of the time: ftrun itself is imported anew. Where the start of a process is
what counts, `subprocess` begins afresh.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

PIPE, STDOUT = subprocess.PIPE, subprocess.STDOUT
MODULES = (
    "click", "numpy", "PIL.Image", "pluggy", "pydantic", "rich.progress", "safetensors.torch", "torch._dynamo",
    "torchvision.transforms.v2.functional",
)  # fmt: skip


class Process:
    """A forked process, with what subprocess.Popen has of it: `python -m ftrun ARGUMENTS`, or `python -c CODE`."""

    def __init__(
        self, *arguments: str | Path, code: str = "", stdout: int = PIPE, stderr: int = PIPE, **environment: str
    ) -> None:
        self.arguments = [*map(str, arguments)]
        self.returncode: int | None = None
        self.stdout, out = _stream(stdout)
        self.stderr, err = (None, out) if stderr == STDOUT else _stream(stderr)
        self._status, status = _stream(PIPE)
        request = {
            "code": code,
            "arguments": self.arguments,
            "folder": os.getcwd(),
            "environment": os.environ | environment,
        }
        text = json.dumps(request).encode()
        socket.send_fds(_server(), [len(text).to_bytes(4)], [out, err, status])
        _server().sendall(text)
        for stream, end in ((self.stdout, out), (self.stderr, err), (self._status, status)):
            if stream:
                os.close(end)
        self.pid = int(self._status.readline())

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.arguments, timeout or 0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """Give what it writes to stdout and stderr, once it has ended."""
        deadline = time.monotonic() + timeout
        written = {stream: b"" for stream in (self.stdout, self.stderr) if stream}
        waiting = set(written)
        while waiting:
            ready = select.select(waiting, [], [], max(0, deadline - time.monotonic()))[0]
            if not ready:
                raise subprocess.TimeoutExpired(self.arguments, timeout)
            for stream in ready:
                part = os.read(stream.fileno(), 1 << 16)
                written[stream] += part
                waiting -= set() if part else {stream}
        self.wait(max(0, deadline - time.monotonic()))
        for stream in written:
            stream.close()
        out, err = (written[stream].decode() if stream else "" for stream in (self.stdout, self.stderr))
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Do what subprocess.run does with `python -m MODULE ARGUMENTS` where output is captured, as text."""
    python, option, module, *arguments = command
    assert (python, option) == (sys.executable, "-m")
    code = f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    process = Process(*arguments, code=code)
    out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.wait(), out, err)


def _stream(wanted: int) -> tuple[Any, int]:
    """Return where this process reads, if it does, and where the other one writes."""
    if wanted != PIPE:
        return None, wanted
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", buffering=0), writing


@cache
def _server() -> socket.socket:
    """Return the connection to the one process that all others are forked off; it ends as this one does."""
    ours, theirs = socket.socketpair()
    server = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        pass_fds=[theirs.fileno()],
        start_new_session=True,
    )
    theirs.close()
    atexit.register(lambda: (ours.close(), server.wait()))
    return ours


# In the other process


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork a process for each request and report its pid and its end; return in the new process, with the request."""
    waking, woken = socket.socketpair()
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    reports: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([connection, waking], [], [])
        if waking in ready:
            waking.recv(4096)
            for pid in list(reports):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    _report(reports[pid], os.waitstatus_to_exitcode(status))
                    os.close(reports.pop(pid))
        if connection in ready:
            size, streams, _, _ = socket.recv_fds(connection, 4, 3)
            if not size:
                os._exit(0)
            request = json.loads(connection.recv(int.from_bytes(size), socket.MSG_WAITALL))
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for report in reports.values():
                    os.close(report)
                for each in (connection, waking, woken):
                    each.close()
                _become(request, streams)
                return request
            reports[pid] = streams[2]
            _report(streams[2], pid)
            for stream in streams[:2]:
                os.close(stream)


def _report(stream: int, number: int) -> None:
    with suppress(BrokenPipeError):  # where nobody waits for it any more
        os.write(stream, f"{number}\n".encode())


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Be the process that was asked for: its session, signals, environment, streams, folder, path and arguments."""
    os.setsid()
    # As a shell does that a person sits at: nohup and `&` have some ignored, also in what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.dup2(streams[0], 1)
    os.dup2(streams[1], 2)
    for stream in streams:
        os.close(stream)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.chdir(request["folder"])
    extra = os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.environ.get("PYTHONPATH") else []
    sys.path[:0] = ["" if request["code"] else request["folder"], *extra]
    sys.argv = ["-c" if request["code"] else "ftrun", *request["arguments"]]


if __name__ == "__main__":
    sys.path.pop(0)  # this folder
    for name in MODULES:
        import_module(name)
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request["code"]:
        exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_module("ftrun", run_name="__main__", alter_sys=True)
