"""What every Python program reads: its own library, shared libraries of the system, and a few facts about the machine."""

import os
import sys
from typing import Final

# Skipped where absent. Folders of libraries, never of programs.
SYSTEM_PATHS: Final = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    # Time zones, and what `mimetypes` opens as soon as it exists.
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/etc/mime.types",
    # How many cores, how much memory: numeric libraries and the C library ask.
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
# How names are resolved, and whose certificates are believed; of /etc/ssl not the private keys.
NETWORK_PATHS: Final = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    # Where resolv.conf may be a link to.
    "/run/systemd/resolve",
    "/run/resolvconf",
)
# What NVIDIA's driver and CUDA look up about the machine (design/sandbox.md, "GPU"; read there, not tried on a device).
GPU_PATHS: Final = (
    "/proc/driver/nvidia",
    "/proc/devices",
    "/sys/module/nvidia",
    "/sys/module/nvidia_uvm",
    "/sys/bus/pci/devices",
)
# CUDA names its threads there, and gives up where it may not. All of them are this process's own; one that is no root's may make itself
# less of a candidate when memory is short, and is still bounded.
THREADS: Final = "/proc/self/task"
# Mapped, it is shared memory, which is for who has a GPU (system_call_rules.py).
ZERO: Final = "/dev/zero"
DEVICES: Final = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")


def interpreter_paths() -> tuple[str, ...]:
    """Real paths of the executable (`platform` reads it), the standard library, and this tree."""
    paths = {os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(os.path.abspath(__file__))), sys.executable}
    # Extension modules and libpython lie beside the library of a built Python.
    paths.update(os.path.join(prefix, "lib") for prefix in (sys.base_prefix, sys.base_exec_prefix) if prefix != "/usr")
    paths.update(entry for entry in sys.path if entry.endswith("lib-dynload"))
    return tuple(sorted({os.path.realpath(path) for path in paths if path and os.path.exists(path)}))
