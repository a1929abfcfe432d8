"""`compute_profile` of a manifest: what the author asks for instead of the defaults of the resource class."""

from difflib import get_close_matches
from typing import Any, Final

from plugin_worker.failures import InvalidPlugin
from plugin_worker.limits import BATCH_ROWS, LEAST_MEMORY, MOST_CALLS

_GIB: Final = 1024**3
#: With those that a deployment reads.
_KNOWN: Final = (
    "resource_type",
    "batch_size",
    "max_concurrency",
    "actor_memory_gb",
    "gpu_memory_gb",
    "max_batch_size",
    "max_wait_ms",
    "min_replicas",
    "max_replicas",
)


def checked_profile(profile: dict[str, Any] | None, warnings: list[str]) -> dict[str, Any] | None:
    """The same with `resource_type` in lower case. Raises InvalidPlugin for a value that cannot be.

    Keys of others are left alone; one that is nearly one of ours is added to `warnings`.
    """
    if profile is None:
        return None
    for key in profile:
        near = [] if key in _KNOWN else get_close_matches(str(key)[:100], _KNOWN, n=1, cutoff=0.8)
        if near:
            warnings.append(f"compute_profile.{str(key)[:100]} is not read; did you mean {near[0]}?")
    checked = dict(profile)
    kind = profile.get("resource_type")
    if kind is not None:
        checked["resource_type"] = str(kind).lower()
        if not isinstance(kind, str) or checked["resource_type"] not in BATCH_ROWS:
            raise _wrong("resource_type", "one of cpu, gpu, api", kind)
    _whole(profile, "batch_size", None)
    _whole(profile, "max_concurrency", MOST_CALLS)
    _gibibytes(profile, "actor_memory_gb", LEAST_MEMORY / _GIB)
    _gibibytes(profile, "gpu_memory_gb", None)
    return checked


def _whole(profile: dict[str, Any], name: str, most: int | None) -> None:
    value = profile.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (most is not None and value > most):
        raise _wrong(name, "a whole number of at least 1" if most is None else f"a whole number from 1 to {most}", value)


def _gibibytes(profile: dict[str, Any], name: str, least: float | None) -> None:
    value = profile.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < (least or 0) or value <= 0:
        raise _wrong(name, "a number of GiB above 0" if least is None else f"a number of GiB, at least {least:g}", value)


def _wrong(name: str, expected: str, value: Any) -> InvalidPlugin:
    return InvalidPlugin(f"compute_profile.{name} must be {expected}, not {repr(value)[:100]}.")
