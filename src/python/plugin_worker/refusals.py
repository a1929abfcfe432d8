"""Says of an error that it is the sandbox's doing: what was refused, which one, and what a plugin may do instead.

The error keeps Python's own type and message; this is one line more. Judged by errno and by whose code raised it, not by an
audit hook: that would cost 8 % of every import, and the kernel refuses what no hook sees.
"""

import errno
import traceback
from types import FrameType
from typing import Any, Final

_REFUSED: Final = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP)
# Errors that caused the one at hand: `requests` wraps a refused socket three times.
_MAX_CAUSES: Final = 8

_NETWORK_MODULES: Final = ("socket", "ssl", "asyncio", "http", "urllib", "urllib3", "httpcore", "anyio", "aiohttp", "ftplib")
_PROCESS_MODULES: Final = ("subprocess", "multiprocessing", "pty", "concurrent")
_PROCESS_CALLS: Final = ("fork", "exec", "spawn", "kill", "system", "popen", "Popen", "setsid", "ptrace")

_INSTEAD: Final = {
    "network": "Only steps of resource type API have any, as far as the egress allowlist goes. A file is read without it once "
    "it is uploaded to the bucket: an address in an object's blob is passed on as it is.",
    "file": "Read assets with shared.plugins.open_asset and weights with load_namespace_model; write below "
    "tempfile.gettempdir().",
    "process": "Do the work in Python or in a library; threads are allowed.",
    "operation": "Plugins work on their rows, their own files and threads.",
}

_THROUGH_PROXY: Final = (
    "Requests go through the proxy of HTTPS_PROXY and HTTP_PROXY, to the hosts on the egress allowlist of the namespace; "
    "requests, httpx and urllib use it by themselves, aiohttp with trust_env=True."
)

_level = "none"
_network = "denied"


def refuse_from_now_on(level: str, network: str) -> None:
    """Called once the process is locked down; before, and at level none, nothing is said. `network` as in the facts."""
    global _level, _network
    _level, _network = level, network


def refusal_of(error: BaseException) -> str | None:
    """`The sandbox refused network access (api.example.com, 443). …`, or None when the sandbox has nothing to do with it."""
    if _level == "none":
        return None
    limit = _limit_of(error)
    if limit is not None:
        return limit
    seen: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if seen is None:
            return None
        # Without sockets no name server is asked: the C library calls that a temporary failure.
        if isinstance(seen, OSError) and (seen.errno in _REFUSED or _cut_off(seen) or type(seen).__name__ == "gaierror"):
            kind, which = _what(seen)
            named = f" ({which[:300]})" if which else ""
            instead = _THROUGH_PROXY if kind == "network" and _network.startswith("proxy") else _INSTEAD[kind]
            return f"The sandbox refused {_ACCESS[kind]}{named}. {instead}"
        seen = seen.__cause__ or seen.__context__
    return None


def _cut_off(error: OSError) -> bool:
    """In a network of its own there is no way to anywhere but the proxy."""
    return _network == "proxy-netns" and error.errno == errno.ENETUNREACH


def _limit_of(error: BaseException) -> str | None:
    """A hard limit of this worker that Python tells in words of its own."""
    import resource

    if isinstance(error, MemoryError):
        mebibytes = resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20
        return f"This worker may use {mebibytes} MiB of memory (MIXPEEK_WORKER_MEMORY_MB, or actor_memory_gb of its compute_profile); work on fewer rows at once."
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.EMFILE:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"This worker may hold {files} files open (MIXPEEK_WORKER_OPEN_FILES); close what is done with."
    if error.errno == errno.EFBIG:
        mebibytes = resource.getrlimit(resource.RLIMIT_FSIZE)[0] >> 20
        return f"A file of this worker may have {mebibytes} MiB."
    return None


_ACCESS: Final = {
    "network": "network access",
    "file": "access to a file",
    "process": "to start or signal a process",
    "operation": "an operation on the system",
}


def _what(error: OSError) -> tuple[str, str]:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if error.filename is not None:
        # A program is a file too, but one that is not to be read.
        kind = "process" if _runs_program(frames) else "file"
        return kind, _shown(error.filename)
    modules = [str(frame.f_globals.get("__name__", "")).split(".")[0] for frame in frames]
    innermost = frames[-1] if frames else None
    if any(module in _PROCESS_MODULES for module in modules) or _calls(innermost, _PROCESS_CALLS):
        return "process", _command(frames)
    if any(module in _NETWORK_MODULES for module in modules) or _calls(innermost, ("socket", "connect", "sendto")):
        return "network", _address(frames)
    return "operation", ""


def _runs_program(frames: list[FrameType]) -> bool:
    return any(str(frame.f_globals.get("__name__", "")).split(".")[0] == "subprocess" for frame in frames) or _calls(
        frames[-1] if frames else None, ("exec", "spawn")
    )


def _calls(frame: FrameType | None, names: tuple[str, ...]) -> bool:
    """Whether the line that raised calls one of them: a function in C has no frame of its own."""
    if frame is None:
        return False
    summary = traceback.FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, lookup_line=True)
    line = summary.line or ""
    return any(name in line for name in names)


def _address(frames: list[FrameType]) -> str:
    for frame in reversed(frames):
        for name in ("address", "sa", "host", "netloc", "url"):
            value: Any = frame.f_locals.get(name)
            if isinstance(value, (str, tuple)) and value:
                return _shown(value)
    return ""


def _command(frames: list[FrameType]) -> str:
    for frame in reversed(frames):
        value: Any = frame.f_locals.get("args")
        if isinstance(value, (str, list, tuple)) and value:
            return _shown(value)
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(str(part)[:100] for part in value[:4])
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
