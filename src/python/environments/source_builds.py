"""A wheel from a source distribution, by its own build backend, inside the lock-down of a worker: no network and no programs.

What compiles needs a compiler, which is a program: such packages are refused here and must come as wheels.
"""

import importlib
import os
import sys
import tarfile
import zipfile
from typing import Any, Final

from environments.pip_of_interpreter import import_pip
from environments.tool_failed import ToolFailed

_MAX_BYTES: Final = 1 << 30
_MAX_FILES: Final = 50_000
# PEP 518 and PEP 517: without a pyproject.toml, or a backend in it, setuptools' own.
_DEFAULT_REQUIRES: Final = ["setuptools>=40.8"]
_DEFAULT_BACKEND: Final = "setuptools.build_meta:__legacy__"


def build(request: dict[str, Any]) -> dict[str, Any]:
    """With `ask`: {"ok": true, "requires": [...]}, what its backend needs. Without: {"ok": true, "file": the wheel in `work`}.

    Request: `source` (path of the archive), `work` (a folder to write to), `packages` (folders of what the backend needs),
    `ask` (bool). Raises ToolFailed.
    """
    folder = _unpack(request["source"], os.path.join(request["work"], "source"))
    system = _build_system(folder)
    backend = str(system.get("build-backend") or _DEFAULT_BACKEND)
    os.chdir(folder)
    sys.path[:0] = [
        *(os.path.join(folder, str(path)) for path in system.get("backend-path") or ()),
        *request["packages"],
    ]
    if request["ask"]:
        return {"ok": True, "requires": [str(each) for each in system.get("requires") or _DEFAULT_REQUIRES]}
    out = os.path.join(request["work"], "wheel")
    os.mkdir(out)
    module, _, inner = backend.partition(":")
    try:
        hooks: Any = importlib.import_module(module)
        for name in filter(None, inner.split(".")):
            hooks = getattr(hooks, name)
        file = str(hooks.build_wheel(out))
    except BaseException as error:
        raise ToolFailed(
            "failed",
            [
                f"{os.path.basename(request['source'])} could not be built: {type(error).__name__}: {str(error)[:2000]}",
                "A build may start no program, a compiler neither, and reaches no network; bring a wheel of it instead.",
            ],
        ) from error
    if os.path.basename(file) != file or not os.path.isfile(os.path.join(out, file)):
        raise ToolFailed("failed", [f"its backend {backend} says that it made {file}, which is not there"])
    return {"ok": True, "file": file}


def _build_system(folder: str) -> dict[str, Any]:
    path = os.path.join(folder, "pyproject.toml")
    if not os.path.exists(path):
        return {}
    try:
        import tomllib
    except ImportError:
        # Python 3.10 has none; pip brings its own.
        import_pip()
        from pip._vendor import tomli as tomllib  # type: ignore[no-redef]
    try:
        with open(path, "rb") as file:
            system = tomllib.load(file).get("build-system") or {}
    except (OSError, ValueError) as error:
        raise ToolFailed("failed", [f"its pyproject.toml cannot be read: {error}"]) from error
    return dict(system)


def _unpack(source: str, into: str) -> str:
    """The one folder at its top. Raises ToolFailed for an archive that is larger than any package, or leaves its folder."""
    os.mkdir(into)
    try:
        if source.endswith(".zip"):
            _unpack_zip(source, into)
        else:
            _unpack_tar(source, into)
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ToolFailed("failed", [f"{os.path.basename(source)} cannot be unpacked: {error}"]) from error
    tops = os.listdir(into)
    if len(tops) != 1 or not os.path.isdir(os.path.join(into, tops[0])):
        raise ToolFailed("failed", [f"{os.path.basename(source)} does not have one folder at its top"])
    return os.path.join(into, tops[0])


def _unpack_zip(source: str, into: str) -> None:
    with zipfile.ZipFile(source) as archive:
        _bound(len(archive.infolist()), sum(info.file_size for info in archive.infolist()))
        archive.extractall(into)


def _unpack_tar(source: str, into: str) -> None:
    files, size = 0, 0
    with tarfile.open(source, "r:gz") as archive:
        for member in archive:
            files, size = files + 1, size + member.size
            _bound(files, size)
            path = os.path.normpath(os.path.join(into, member.name))
            if not path.startswith(into + os.sep) or not (member.isfile() or member.isdir()):
                raise ValueError(f"{member.name} is no file or folder inside of it")
            if member.isdir():
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content = archive.extractfile(member)
            with open(path, "wb") as file:
                while content is not None and (chunk := content.read(1 << 20)):
                    file.write(chunk)


def _bound(files: int, size: int) -> None:
    if files > _MAX_FILES or size > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_FILES} files or {_MAX_BYTES} bytes")
