"""Landlock: which files this process may still reach. Everything that the running kernel can refuse is refused but for grants.

Numbers as in linux/landlock.h. A kernel knows an ABI version; rights that came with a later one are masked off, and the
system call filter stands in for them (seccomp_filter.py).
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

from plugin_worker.kernel import LIBC, syscall

# The same on every architecture: both are of the common table from 5.13 on.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1
_NET_PORT: Final = 2
_CONNECT_TCP: Final = 0b10

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_REMOVE_DIR: Final = 1 << 4
_REMOVE_FILE: Final = 1 << 5
_MAKE_DIR: Final = 1 << 7
_MAKE_REG: Final = 1 << 8
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_IOCTL_DEV: Final = 1 << 15

# All rights up to MAKE_SYM are of version 1.
_FILE_RIGHTS_BY_ABI: Final = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_NETWORK_RIGHTS: Final = 0b11
_SCOPES: Final = 0b11
NETWORK_ABI: Final = 4
TRUNCATE_ABI: Final = 3
_SCOPES_ABI: Final = 6
NAMES_BY_ABI: Final = {2: "refer", 3: "truncate", 4: "tcp", 5: "ioctl_dev", 6: "scope"}

# EXECUTE is granted nowhere: mapping a library does not need it.
_READ: Final = _READ_FILE | _READ_DIR
# No links, sockets, pipes or device nodes: what the appliance opens there later is a plain file or refused.
_WRITE: Final = (
    _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
)
_DEVICE: Final = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
_FOR_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


def landlock_abi(at_most: int) -> int:
    """Version of the running kernel's Landlock, no more than `at_most`; 0 when there is none or it is switched off."""
    version = LIBC.syscall(
        ctypes.c_long(_CREATE_RULESET), ctypes.c_void_p(None), ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG)
    )
    return max(0, min(int(version), at_most))


class Ruleset:
    """Grants are collected first, `restrict` makes them all that is left. Raises OSError whenever the kernel refuses."""

    def __init__(self, abi: int, *, any_port: bool = False) -> None:
        self._abi = abi
        self._handled = sum(rights for since, rights in _FILE_RIGHTS_BY_ABI.items() if since <= abi)
        fields = [self._handled]
        if abi >= NETWORK_ABI:
            fields.append(0 if any_port else _NETWORK_RIGHTS)
        if abi >= _SCOPES_ABI:
            fields.append(_SCOPES)
        attributes = struct.pack(f"={len(fields)}Q", *fields)
        self._descriptor = syscall("landlock_create_ruleset", _CREATE_RULESET, attributes, len(attributes), 0)

    @property
    def missing(self) -> list[str]:
        """What this kernel's version cannot refuse and a later one can."""
        return [name for since, name in NAMES_BY_ABI.items() if since > self._abi]

    def grant_read(self, paths: Iterable[str], *, required: bool) -> None:
        self._grant(paths, _READ, required=required)

    def grant_write(self, paths: Iterable[str]) -> None:
        self._grant(paths, _WRITE, required=True)

    def grant_devices(self, paths: Iterable[str]) -> None:
        self._grant(paths, _DEVICE, required=False)

    def grant_connect(self, port: int) -> None:
        """TCP to this port, of whatever address: a rule names no host. Before NETWORK_ABI there is nothing to grant."""
        if self._abi >= NETWORK_ABI:
            rule = struct.pack("=QQ", _CONNECT_TCP, port)
            syscall(f"landlock_add_rule for port {port}", _ADD_RULE, self._descriptor, _NET_PORT, rule, 0)

    def restrict(self) -> None:
        """Binds the calling thread, for good, and those it starts later: it must be the only one."""
        syscall("landlock_restrict_self", _RESTRICT_SELF, self._descriptor, 0)
        os.close(self._descriptor)

    def _grant(self, paths: Iterable[str], rights: int, *, required: bool) -> None:
        for path in paths:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                # A system without this file or folder works without it; what the appliance named must be there.
                if required:
                    raise
                continue
            granted = rights & self._handled
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                granted &= _FOR_FILES
            rule = struct.pack("=Qi", granted, descriptor)
            syscall(f"landlock_add_rule for {path}", _ADD_RULE, self._descriptor, _PATH_BENEATH, rule, 0)
            # procfs makes new inodes when memory is short, and a rule on the old one would be void: pinned while we live.
            if not path.startswith("/proc/"):
                os.close(descriptor)
