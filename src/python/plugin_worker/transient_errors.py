"""Which exceptions of a call to an outside service are worth another try, and how long the service asks to be left alone.

Clients are told by the names of their classes, so that none is imported: a plugin brings the ones it uses. What an exception
says of itself is plugin code, and may raise.
"""

import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

from plugin_worker.failures import safe_text
from plugin_worker.refusals import refusal_of
from plugin_worker.tracebacks import members

# An error that caused the one at hand: `requests` wraps a refused connection three times.
_MAX_CAUSES: Final = 8
# Groups in groups, and the members of one that are looked at: one with more is not tried again.
_MAX_NESTED: Final = 4
_MAX_MEMBERS: Final = 256
_STATUSES: Final = frozenset((408, 425, 429, *range(500, 600)))
_TOO_MANY: Final = 429
# In the words of the egress proxy and of refusals.py: asking again changes nothing.
_REFUSED: Final = "The sandbox refused"

# By the module's first name. Python's own TimeoutError and ConnectionError are their subclasses' names too.
_NAMES: Final = {
    "builtins": ("ConnectionError", "TimeoutError"),
    "asyncio": ("TimeoutError", "IncompleteReadError"),
    "concurrent": ("TimeoutError",),
    "socket": ("gaierror", "timeout"),
    "ssl": ("SSLEOFError", "SSLZeroReturnError"),
    "http": ("RemoteDisconnected", "IncompleteRead", "BadStatusLine"),
    "urllib3": ("TimeoutError", "ProtocolError", "NewConnectionError", "ProxyError"),
    "requests": ("ConnectionError", "Timeout", "ChunkedEncodingError"),
    "httpx": ("TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError"),
    "httpcore": ("TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError"),
    "aiohttp": ("ClientConnectionError", "ClientPayloadError"),
    "openai": ("APIConnectionError",),
    "anthropic": ("APIConnectionError",),
}
_ERRNOS: Final = frozenset(
    (
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
    )
)
# A certificate stays as it is.
_PERMANENT: Final = ("SSLCertVerificationError", "CertificateError", "ClientConnectorCertificateError")


@dataclass(frozen=True, slots=True)
class Transient:
    """`asked`: seconds of a `Retry-After`, None without one. `everyone`: the service speaks of all calls, not of this one."""

    asked: float | None
    everyone: bool


def transient(error: BaseException, wall_clock: float | None = None) -> Transient | None:
    """None when the same call would fail the same way. The first HTTP status that is found from the outside in decides.

    Of a group each member is asked, and one that would fail the same way decides.
    """
    try:
        return _transient(error, wall_clock, _MAX_NESTED)
    except BaseException:
        return None


def _transient(error: BaseException, wall_clock: float | None, nested: int) -> Transient | None:
    if not isinstance(error, Exception) or _is_final(error):
        return None
    inner = members(error)
    if inner:
        found = [_transient(one, wall_clock, nested - 1) if nested else None for one in inner[:_MAX_MEMBERS]]
        several = [one for one in found if one is not None]
        if len(several) < len(inner):
            return None
        asked = [one.asked for one in several if one.asked is not None]
        return Transient(max(asked, default=None), any(one.everyone for one in several))
    for cause in _chain(error):
        status = _status(cause)
        if status is not None:
            if status not in _STATUSES:
                return None
            asked = _retry_after(cause, time.time() if wall_clock is None else wall_clock)
            return Transient(asked, status == _TOO_MANY or asked is not None)
        if _is_connection_error(cause):
            return Transient(None, False)
    return None


def _is_final(error: Exception) -> bool:
    if refusal_of(error) is not None:
        return True
    return any(type(cause).__name__ in _PERMANENT or _REFUSED in safe_text(cause) for cause in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, also where a library keeps that in `reason`."""
    seen: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if seen is None:
            return
        yield seen
        reason = _attribute(seen, "reason")
        if isinstance(reason, BaseException):
            seen = reason
        else:
            seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _is_connection_error(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return True
    return any(kind.__name__ in _NAMES.get(kind.__module__.split(".")[0], ()) for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    response = _attribute(error, "response")
    found = (
        _attribute(response, "status_code"),
        _attribute(response, "status"),
        _attribute(error, "status_code"),
        _attribute(error, "status"),
        _attribute(error, "code"),
    )
    for value in found:
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
            return int(value)
    return None


def _retry_after(error: BaseException, wall_clock: float) -> float | None:
    for owner in (_attribute(error, "response"), error):
        headers = _attribute(owner, "headers")
        for name in ("Retry-After", "retry-after"):
            try:
                value = headers.get(name)
            except BaseException:
                break
            seconds = None if value is None else _seconds(value, wall_clock)
            if seconds is not None:
                return seconds
    return None


def _seconds(value: Any, wall_clock: float) -> float | None:
    """Of `120`, or of an HTTP date (RFC 9110 10.2.3); None for what is neither."""
    try:
        text = str(value).strip()[:64]
        if text.replace(".", "", 1).isdecimal():
            return float(text)
        date = parsedate_to_datetime(text)
        # One that names no zone is in UTC, whatever zone this process has.
        seconds = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp() - wall_clock
    except BaseException:
        return None
    return max(0.0, seconds)


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except BaseException:
        return None
