"""Compiles our own tree once, for every worker that starts after: reading source costs a start more than all of the lock-down.

Workers run with `-B` and cannot write here; what they read is what the appliance has written from its own source.
"""

import os
import py_compile
from importlib.util import cache_from_source


def compile_tree(tree: str) -> None:
    """Whole or not at all, each file: a torn one would stop a worker. A tree that cannot be written stays as it is."""
    for directory, folders, files in os.walk(tree):
        folders[:] = [folder for folder in folders if folder != "__pycache__"]
        for name in files:
            if name.endswith(".py"):
                _compile(os.path.join(directory, name))


def _compile(source: str) -> None:
    target = cache_from_source(source)
    partial = f"{target}.{os.getpid()}.part"
    try:
        if os.path.exists(target) and os.stat(target).st_mtime >= os.stat(source).st_mtime:
            return
        py_compile.compile(source, cfile=partial, dfile=source, doraise=True)
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, target)
    except (OSError, py_compile.PyCompileError):
        # Read-only, or a full disk: workers then compile for themselves.
        if os.path.exists(partial):
            os.unlink(partial)
