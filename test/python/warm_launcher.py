"""The appliance's end of the launcher, for tests: workers forked from one Python that has the base packages in memory."""

import atexit
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

WARM_SECONDS = 60
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# As the appliance sets it: a fork has but one thread.
ENVIRONMENT = {**THREADS, "JE_ARROW_MALLOC_CONF": "background_thread:false"}


def read(channel: socket.socket, size: int) -> bytes:
    """Exactly so many bytes. Raises EOFError when the other end is closed before."""
    data = b""
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


class Launcher:
    def __init__(self, python_tree: str, site_packages: list[str]) -> None:
        self._socket, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(WARM_SECONDS)
        self._endings: dict[int, int] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", os.path.join(python_tree, "plugin_worker", "launcher.py")],
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT,
            close_fds=False,
            preexec_fn=lambda: os.dup2(inside.fileno(), 3),
        )
        inside.close()
        atexit.register(self._end)
        ready = self._ask({"type": "warm", "site_packages": site_packages}, [])
        if ready != {"type": "ready", "threads": 1}:
            raise AssertionError(f"the launcher is not ready to fork: {ready}")

    def fork(self, environment: dict[str, str], directory: str, descriptors: list[int]) -> "Fork":
        """`descriptors`: of its channel, stdout and stderr, which stay open here."""
        request = {"type": "fork", "environment": environment, "directory": directory}
        return Fork(self, self._ask(request, descriptors)["pid"])

    def ending(self, pid: int, timeout: float) -> int:
        """Exit code of a fork, or the negative number of its signal. Raises TimeoutExpired."""
        until = time.monotonic() + timeout
        while pid not in self._endings:
            self._socket.settimeout(max(0.001, until - time.monotonic()))
            try:
                self._heed(self._receive())
            except TimeoutError:
                raise subprocess.TimeoutExpired(["fork", str(pid)], timeout) from None
            finally:
                self._socket.settimeout(WARM_SECONDS)
        return self._endings[pid]

    def _ask(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        payload = json.dumps(request).encode()
        frame = struct.pack("<IIB", 5 + len(payload), 1, 1) + payload
        socket.send_fds(self._socket, [frame], descriptors)
        while True:
            message = self._receive()
            if message["type"] != "exited":
                return message
            self._heed(message)

    def _heed(self, exited: dict[str, Any]) -> None:
        name = exited["signal"]
        self._endings[exited["pid"]] = exited["code"] if name is None else -signal.Signals[name]

    def _receive(self) -> dict[str, Any]:
        try:
            (length,) = struct.unpack("<I", read(self._socket, 4))
            return json.loads(read(self._socket, length)[5:])
        except EOFError:
            raise EOFError(f"the launcher ended with {self._process.wait()}") from None

    def _end(self) -> None:
        self._socket.close()
        self._process.wait(timeout=10)


class Fork:
    """What tests use of a Popen."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self.pid = pid
        self._launcher = launcher

    def wait(self, timeout: float = 10) -> int:
        return self._launcher.ending(self.pid, timeout)

    def kill(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            # It ended a moment before.
            pass
