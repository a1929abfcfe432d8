"""Threads of libraries that were in memory before this worker knew its share: a launcher loads them with one thread.

What is loaded from now on reads the environment by itself.
"""

import ctypes
import os
import sys
from glob import glob
from typing import Final

# Of the OpenBLAS that numpy brings, by its builds.
_SETTERS: Final = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


def use_share_of_cores() -> None:
    """As many threads as OMP_NUM_THREADS says. A library that cannot be told keeps its one."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    if threads <= 1:
        return
    arrow, numpy = sys.modules.get("pyarrow"), sys.modules.get("numpy")
    if arrow is not None:
        arrow.set_cpu_count(threads)
    if numpy is not None and numpy.__file__ is not None:
        for path in glob(os.path.join(os.path.dirname(os.path.dirname(numpy.__file__)), "numpy.libs", "*openblas*")):
            _tell(path, threads)


def _tell(path: str, threads: int) -> None:
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except OSError:
        # Not the one that is in use.
        return
    for name in _SETTERS:
        setter = getattr(library, name, None)
        if setter is not None:
            setter(ctypes.c_int(threads))
            return
