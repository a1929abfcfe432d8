"""Tries what a locked-down worker must not be able to do. A lock that holds is shown, not believed."""

import ctypes
import errno
import os
from collections.abc import Callable

from plugin_worker.kernel import LIBC, failure

_AF_UNIX = 1
_AF_INET = 2
_SOCK_STREAM = 1


def failed_refusals(*, files: bool) -> list[str]:
    """What went through, in words; empty when everything was refused. `files`: outside paths must be closed too."""
    # Both are open to every process by itself: only Landlock closes them.
    checks: list[tuple[str, Callable[[], None]]] = (
        [("reading /proc/self/environ", _read_outside), ("writing /proc/self/comm", _write_outside)] if files else []
    )
    checks += [
        ("a network socket", lambda: _socket(_AF_INET)),
        ("a UNIX socket", lambda: _socket(_AF_UNIX)),
        ("starting a program", _execute),
        ("a second process", _fork),
    ]
    return [what for what, attempt in checks if not _refused(attempt)]


def _refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EACCES)
    return False


def _read_outside() -> None:
    os.close(os.open("/proc/self/environ", os.O_RDONLY))


def _write_outside() -> None:
    os.close(os.open("/proc/self/comm", os.O_WRONLY))


def _socket(family: int) -> None:
    descriptor = LIBC.socket(family, _SOCK_STREAM, 0)
    if descriptor < 0:
        raise failure("socket")
    os.close(descriptor)


def _execute() -> None:
    # No such file: were starting programs open, the error would be another one, and we would still be here.
    if LIBC.execve(b"/proc/self/no-such-program", ctypes.c_void_p(None), ctypes.c_void_p(None)) != 0:
        raise failure("execve")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
