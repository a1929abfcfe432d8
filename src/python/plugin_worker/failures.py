"""Exceptions of plugin code as values: what kind, what message, where in the author's files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.services.unavailable import ServiceUnavailable
from plugin_worker.limits import FAILURE_MESSAGE, FAILURE_TRACEBACK
from plugin_worker.plugin_loader import Plugin, PluginFileMissing
from plugin_worker.refusals import refusal_of
from plugin_worker.tracebacks import author_traceback, clip, members

ErrorType = Literal["dependency", "validation", "runtime", "resource"]


class InvalidPlugin(Exception):
    """The plugin declares something that cannot be: said to the author as a validation failure, without a traceback."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request, or a row, failed. `stage` says during what ("manifest", "step MyProcessor")."""

    error_type: ErrorType
    exception: str
    message: str
    traceback: str
    stage: str

    def as_message(self) -> dict[str, str]:
        return {
            "error_type": self.error_type,
            "exception": self.exception,
            "message": self.message,
            "traceback": self.traceback,
            "stage": self.stage,
        }


class RequestFailed(Exception):
    """Ends the request at hand; carries the failure to answer with."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@contextmanager
def plugin_code(stage: str, plugin: Plugin | None) -> Iterator[None]:
    """Everything that plugin code raises inside, SystemExit and KeyboardInterrupt too, leaves as RequestFailed."""
    try:
        yield
    except RequestFailed:
        raise
    except BaseException as error:
        raise RequestFailed(failure_of(error, stage, plugin)) from error


def failure_of(error: BaseException, stage: str, plugin: Plugin | None) -> Failure:
    """`error` as a value within the limits of a frame."""
    without_traceback = isinstance(error, (InvalidPlugin, PluginFileMissing))
    return Failure(
        error_type=_error_type(error, plugin),
        exception=type(error).__name__[:200],
        message=clip(_with_refusal(_message(error, plugin), error), FAILURE_MESSAGE),
        traceback=""
        if without_traceback
        else author_traceback(error, plugin.path if plugin else None, FAILURE_TRACEBACK),
        stage=stage[:200],
    )


def is_fatal(error: BaseException, plugin: Plugin) -> bool:
    """True when every further row would fail the same way, so that trying them says nothing new."""
    return isinstance(error, ImportError) or _error_type(error, plugin) == "dependency"


def safe_text(error: BaseException) -> str:
    """`str(error)`, which is plugin code and may itself raise."""
    try:
        # Plain text: `__str__` may return a class of its own.
        return str.__str__(str(error))
    except BaseException:
        return f"<{type(error).__name__} without a readable message>"


def _error_type(error: BaseException, plugin: Plugin | None) -> ErrorType:
    if isinstance(error, ServiceUnavailable):
        return "dependency"
    if isinstance(error, ImportError):
        return "validation" if _is_own_module(error, plugin) else "dependency"
    if isinstance(error, MemoryError):
        return "resource"
    if isinstance(error, (InvalidPlugin, PluginFileMissing, SyntaxError)) or _is_pydantic(error):
        return "validation"
    return "runtime"


def _is_own_module(error: ImportError, plugin: Plugin | None) -> bool:
    """A module, or a name in a module, that the author's own files lack."""
    if plugin is None or not error.name:
        return False
    top = error.name.split(".")[0]
    return plugin.owns(error.name) or top == plugin.name or top in ("engine", "shared") or plugin.has(top)


def _is_pydantic(error: BaseException) -> bool:
    pydantic: Any = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(error, getattr(pydantic, "ValidationError", ()))


def _with_refusal(message: str, error: BaseException) -> str:
    refusal = refusal_of(error)
    return message if refusal is None else f"{message}\n{refusal}"


# Of a group, those that a message names.
_MEMBERS: Final = 3


def _message(error: BaseException, plugin: Plugin | None, nested: int = 2) -> str:
    text = safe_text(error)
    if isinstance(error, ModuleNotFoundError) and error.name and not _is_own_module(error, plugin):
        return f"The module {error.name!r} is not installed in the worker's Python environment. ({text})"
    if isinstance(error, SyntaxError) and plugin and error.filename and error.filename.startswith(plugin.path + "/"):
        return f"{error.filename[len(plugin.path) + 1 :]}, line {error.lineno}: {error.msg}"
    if isinstance(error, SystemExit):
        return f"The plugin called exit ({text or 'no code'})."
    found = members(error)[:_MEMBERS] if nested else ()
    inner = [f"{type(one).__name__}: {_message(one, plugin, nested - 1)}" for one in found]
    return "\n".join([text or type(error).__name__, *inner])
