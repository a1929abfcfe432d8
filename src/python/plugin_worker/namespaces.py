"""Namespaces where the machine allows them: an empty network, no shared IPC, and a view of the disk without the data directory.

The view is a tmpfs over each hidden directory, with the granted paths bound back at their places. What Landlock and the filter
refuse anyway is not even to be seen then: `stat` tells nothing of what others store.
"""

import ctypes
import os
import stat
from collections.abc import Sequence
from typing import Final

from plugin_worker.kernel import LIBC, failure

_NEW_MOUNTS: Final = 0x0002_0000
_NEW_UTS: Final = 0x0400_0000
_NEW_IPC: Final = 0x0800_0000
_NEW_USER: Final = 0x1000_0000
_NEW_NETWORK: Final = 0x4000_0000
NAMES: Final = ("user", "net", "ipc", "uts", "mount")

_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x4_0000


def enter_namespaces(hidden: Sequence[str], granted: Sequence[str], *, network: bool) -> None:
    """`hidden` and `granted` are real paths, absolute and without links; `network`: an empty one too.

    Raises OSError when the machine refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    flags = _NEW_USER | _NEW_IPC | _NEW_UTS | _NEW_MOUNTS | (_NEW_NETWORK if network else 0)
    if LIBC.unshare(flags) != 0:
        raise failure("unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    for directory in _outermost(hidden):
        _hide(directory, [path for path in granted if path.startswith(directory + "/")])


def _hide(directory: str, kept: Sequence[str]) -> None:
    sources = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in _outermost(kept)}
    _mount("tmpfs", directory, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=64k,mode=0755")
    for path, source in sources.items():
        if stat.S_ISDIR(os.fstat(source).st_mode):
            os.makedirs(path)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        _mount(f"/proc/self/fd/{source}", path, None, _MS_BIND | _MS_REC)
        os.close(source)


def _outermost(paths: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(parent + "/") for parent in kept):
            kept.append(path)
    return kept


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    if LIBC.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]) != 0:
        raise failure(f"mount on {target}")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
