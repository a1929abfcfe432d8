"""Tries what a locked-down worker must not be able to do. A lock that holds is shown, not believed."""

import ctypes
import errno
import os
import struct
from collections.abc import Callable

from plugin_worker.kernel import LIBC, failure

_AF_UNIX = 1
_AF_INET = 2
_SOCK_STREAM = 1
_SOCK_DGRAM = 2
_SOCK_NONBLOCK = os.O_NONBLOCK


def failed_refusals(*, files: bool, sockets: str) -> list[str]:
    """What went through, in words; empty when everything was refused.

    `files`: outside paths must be closed too. `sockets`: see SOCKETS in system_call_rules.py.
    """
    # Both are open to every process by itself: only Landlock closes them.
    checks: list[tuple[str, Callable[[], None]]] = (
        [("reading /proc/self/environ", _read_outside), ("writing /proc/self/comm", _write_outside)] if files else []
    )
    if sockets == "denied":
        checks.append(("a network socket", lambda: _socket(_AF_INET, _SOCK_STREAM)))
    if sockets == "tcp":
        checks += [
            ("a network socket of UDP", lambda: _socket(_AF_INET, _SOCK_DGRAM)),
            ("a connection past the proxy", _connect),
        ]
    checks += [
        ("a UNIX socket", lambda: _socket(_AF_UNIX, _SOCK_STREAM)),
        ("starting a program", _execute),
        ("a second process", _fork),
    ]
    return [what for what, attempt in checks if not _refused(attempt)]


def _refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EACCES, errno.ENETUNREACH)
    return False


def _read_outside() -> None:
    os.close(os.open("/proc/self/environ", os.O_RDONLY))


def _write_outside() -> None:
    os.close(os.open("/proc/self/comm", os.O_WRONLY))


def _socket(family: int, kind: int) -> None:
    descriptor = LIBC.socket(family, kind, 0)
    if descriptor < 0:
        raise failure("socket")
    os.close(descriptor)


def _connect() -> None:
    descriptor = LIBC.socket(_AF_INET, _SOCK_STREAM | _SOCK_NONBLOCK, 0)
    if descriptor < 0:
        raise failure("socket")
    try:
        # TEST-NET-1 of RFC 5737: nothing is there, and where it is let through this end does not wait.
        address = struct.pack("=H", _AF_INET) + struct.pack("!H4s8x", 9, bytes((192, 0, 2, 1)))
        if LIBC.connect(descriptor, address, len(address)) != 0:
            raise failure("connect")
    finally:
        os.close(descriptor)


def _execute() -> None:
    # No such file: were starting programs open, the error would be another one, and we would still be here.
    if LIBC.execve(b"/proc/self/no-such-program", ctypes.c_void_p(None), ctypes.c_void_p(None)) != 0:
        raise failure("execve")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
