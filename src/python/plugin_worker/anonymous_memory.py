"""`mmap.mmap(-1, size)` is shared memory by itself, which the filter refuses: private memory instead, which is the same for one process.

Shared memory keeps its pages when they are unmapped but for one: no limit of the kernel's counts them, and only root sees them.
"""

import mmap
from typing import Any


def map_privately() -> None:
    """From now on; what has a class of its own by `from mmap import mmap` already gets a PermissionError."""
    mmap.mmap = _Mapping  # type: ignore[misc]


class _Mapping(mmap.mmap):
    def __new__(
        cls,
        fileno: int,
        length: int,
        flags: int = mmap.MAP_SHARED,
        prot: int = mmap.PROT_READ | mmap.PROT_WRITE,
        access: int = mmap.ACCESS_DEFAULT,
        *more: Any,
        **named: Any,
    ) -> "_Mapping":
        if fileno == -1 and flags & mmap.MAP_SHARED:
            flags = flags & ~mmap.MAP_SHARED | mmap.MAP_PRIVATE
            if access == mmap.ACCESS_READ:
                prot = mmap.PROT_READ
            # Python makes a shared one of an access of its own.
            access = mmap.ACCESS_DEFAULT
        return super().__new__(cls, fileno, length, flags, prot, access, *more, **named)


_Mapping.__name__ = _Mapping.__qualname__ = "mmap"
_Mapping.__module__ = "mmap"
