"""What the process may do beyond its files and calls: rights to gain, capabilities, descriptors and limits."""

import os
import resource
import struct
from typing import Final

from plugin_worker.kernel import (
    LIBC,
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    failure,
    prctl,
)
from plugin_worker.limits import PENDING_SIGNALS, WRITTEN_FILE

# linux/capability.h
_CAPABILITY_VERSION_3: Final = 0x2008_0522
_ALL_CAPABILITIES: Final = 64
_EINVAL: Final = 22


def close_descriptors_from(first: int) -> None:
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def thread_count() -> int:
    return len(os.listdir("/proc/self/task"))


def gain_no_privileges() -> None:
    """No program that is started gives this process more rights. Needed by Landlock and the filter. Raises OSError."""
    prctl("prctl(PR_SET_NO_NEW_PRIVS)", PR_SET_NO_NEW_PRIVS, 1)


def clear_bounding_set() -> None:
    """An ordinary user cannot, and need not under no_new_privs."""
    for capability in range(_ALL_CAPABILITIES):
        try:
            prctl("prctl(PR_CAPBSET_DROP)", PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == _EINVAL:
                return
            if isinstance(error, PermissionError):
                return
            raise


def clear_capabilities() -> None:
    """Empties the effective, permitted, inheritable and ambient sets. Raises OSError."""
    prctl("prctl(PR_CAP_AMBIENT_CLEAR_ALL)", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if LIBC.capset(head, bytes(24)) != 0:
        raise failure("capset")


def limit_resources(memory_bytes: int, open_files: int) -> None:
    """Hard limits. Data alone bounds memory: address space would refuse libraries that reserve much and use little."""
    for kind, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_FSIZE, WRITTEN_FILE),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, PENDING_SIGNALS),
        # Where the user may be more urgent than others, a worker may not: it would keep the appliance from running.
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def first_to_go_when_memory_is_short() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        # Some containers show /proc read-only. The limits stand without it.
        return
