"""Tracebacks for authors: their frames first, by path inside the plugin, then those of libraries, none of the worker's."""

import importlib
import os
import sys
import traceback
from collections.abc import Iterable

from plugin_worker.limits import TRACEBACK_CAUSES, TRACEBACK_FRAMES

_WORKER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_IMPORTLIB = os.path.dirname(importlib.__file__) + os.sep
_CUT = "\n… shortened …\n"


def author_traceback(error: BaseException, plugin_path: str | None, limit: int) -> str:
    """At most `limit` bytes of UTF-8. Causes follow the error; no path of this machine is shown."""
    parts: list[str] = []
    waiting: list[tuple[str, BaseException]] = [("", error)]
    while waiting and len(parts) < TRACEBACK_CAUSES:
        how, current = waiting.pop(0)
        parts.append(how + _one(current, plugin_path))
        inner = members(current)
        waiting[:0] = [(f"\n{place} of {len(inner)} in it\n", one) for place, one in enumerate(inner, 1)]
        cause = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if cause is not None:
            waiting.append(("\ncaused by\n", cause))
    return clip("".join(parts), limit)


def members(error: BaseException) -> tuple[BaseException, ...]:
    """Those of an ExceptionGroup, which says nothing itself but how many it has; of another exception none."""
    # By name: Python 3.10 has none of its own, and libraries bring one.
    if not any(kind.__name__ == "BaseExceptionGroup" for kind in type(error).__mro__):
        return ()
    try:
        inner = getattr(error, "exceptions", ())
        return tuple(one for one in inner if isinstance(one, BaseException)) if isinstance(inner, tuple) else ()
    except BaseException:
        # A class of the plugin's, which raises when it is asked.
        return ()


def clip(text: str, limit: int) -> str:
    """At most `limit` bytes of valid UTF-8: beginning and end are kept, the middle goes."""
    if len(text) > 2 * limit:
        # What is certain to go is not encoded first: a message may have all of the memory.
        text = text[:limit] + text[-limit:]
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode("utf-8")
    keep = max(0, (limit - len(_CUT.encode())) // 2)
    if keep == 0:
        return data[:limit].decode("utf-8", "ignore")
    return data[:keep].decode("utf-8", "ignore") + _CUT + data[-keep:].decode("utf-8", "ignore")


def _one(error: BaseException, plugin_path: str | None) -> str:
    own: list[str] = []
    library: list[str] = []
    for frame in _frames(error):
        if frame.filename.startswith((_WORKER, _IMPORTLIB, "<frozen importlib")):
            continue
        inside = plugin_path is not None and frame.filename.startswith(plugin_path + os.sep)
        shown = frame.filename[len(plugin_path or "") + 1 :] if inside else _short(frame.filename)
        line = f"{shown}, line {frame.lineno}, in {frame.name}\n"
        if frame.line:
            line += f"    {frame.line.strip()[:500]}\n"
        (own if inside else library).append(line)
    text = "".join(own)
    if library:
        text += ("in libraries\n" if own else "") + "".join(library)
    return text + "".join(_last_lines(error, plugin_path))


def _frames(error: BaseException) -> Iterable[traceback.FrameSummary]:
    frames = list(traceback.extract_tb(error.__traceback__))
    half = TRACEBACK_FRAMES // 2
    return frames if len(frames) <= TRACEBACK_FRAMES else frames[:half] + frames[-half:]


def _last_lines(error: BaseException, plugin_path: str | None) -> list[str]:
    """`ValueError: message`; for a syntax error also the place."""
    try:
        lines = traceback.format_exception_only(type(error), error)
    except Exception:
        return [f"{type(error).__name__}\n"]
    return [line.replace(plugin_path + os.sep, "") for line in lines] if plugin_path else lines


def _short(filename: str) -> str:
    """A library's file by its place below the directory it was imported from."""
    best = ""
    for entry in sys.path:
        if entry and len(entry) > len(best) and filename.startswith(entry + os.sep):
            best = entry
    return filename[len(best) + 1 :] if best else os.path.basename(filename)
