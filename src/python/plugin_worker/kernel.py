"""System calls and constants of Linux that Python's standard library has no name for. Before lock-down only."""

import ctypes
import os
from typing import Final

PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

LIBC: Final = ctypes.CDLL(None, use_errno=True)


class UnknownMachine(Exception):
    """There is no table of system calls for this processor."""


def syscall_numbers() -> dict[str, int]:
    """Numbers by name for the machine we run on. Raises UnknownMachine."""
    machine = os.uname().machine
    if machine == "x86_64":
        from plugin_worker.syscalls_x86_64 import NUMBERS
    elif machine == "aarch64":
        # Generated like the other one and never run: nobody has tried the filter on such a machine.
        from plugin_worker.syscalls_aarch64 import NUMBERS
    else:
        raise UnknownMachine(f"there is no table of system calls for {machine}")
    return NUMBERS


def syscall(what: str, number: int, *arguments: "int | bytes | ctypes.Array | object") -> int:
    """The call's own result. Raises OSError, with `what` in its message, when the kernel refuses."""
    passed = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        raise failure(what)
    return int(result)


def prctl(what: str, option: int, *arguments: int) -> None:
    """Raises OSError when the kernel refuses."""
    four = (*arguments, 0, 0, 0, 0)[:4]
    if LIBC.prctl(option, *(ctypes.c_ulong(argument) for argument in four)) != 0:
        raise failure(what)


def failure(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
