"""`progress_actor`: what a processor tells of its progress reaches the batch, in whatever form it is told.

Authors know such an object from elsewhere and call it in several ways, as an actor (`.update.remote(5)`) too. None raises, and
what cannot be made sense of is dropped: progress never costs a row. Outside of a batch nothing comes of it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MESSAGE_LENGTH = 200
LARGEST_NUMBER = 1e15

_ADDS = ("n", "by", "amount", "increment", "inc", "delta", "advance", "step", "count")
_SETS = ("done", "completed", "current", "processed", "progress", "value", "position")
_TOTALS = ("total", "max", "maximum", "length")
_MESSAGES = ("message", "msg", "text", "description", "desc", "status", "stage", "label")
_STEPS = ("increment", "inc", "tick", "step", "advance", "add", "increase")


@dataclass(frozen=True, slots=True)
class Told:
    """One call. Each is None when it was not said; `add` counts on top of what is done, `done` replaces it."""

    message: str | None = None
    add: float | None = None
    done: float | None = None
    total: float | None = None


_listener: Callable[[Told], None] | None = None


def listen_to_progress(listener: Callable[[Told], None] | None) -> None:
    """Who hears of it from now on, from any thread. Called by the worker."""
    global _listener
    _listener = listener


class ProgressActor:
    """Takes any method with any arguments. `update(5)` and `increment()` add, `update(5, 10)` and `set_progress(5)` set,
    `set_total(10)` says how much there is, and text becomes the message."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # What asks for those (copies, pickles, numpy) must hear that they are not there.
            raise AttributeError(name)
        return _Method(name)

    def __call__(self, *values: Any, **named: Any) -> Any:
        return _Method("update")(*values, **named)


class _Method:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *values: Any, **named: Any) -> "_Answer":
        try:
            told = _understood(self._name.rpartition(".")[2].lower(), values, named)
            if told != Told() and _listener is not None:
                _listener(told)
        except Exception:
            # Odd arguments of the author, or a channel that closes: neither is worth a row.
            return _Answer()
        return _Answer()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("remote", "options"):
            return self if name == "remote" else lambda *_, **__: self
        return _Method(f"{self._name}.{name}")


class _Answer:
    """None, for those who await it too."""

    def __await__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "None"


def _understood(method: str, values: tuple[Any, ...], named: dict[str, Any]) -> Told:
    said: dict[str, Any] = {str(key).lower(): value for key, value in named.items()}
    for value in values:
        if isinstance(value, Mapping):
            said.update({str(key).lower(): entry for key, entry in value.items()})
    numbers = [number for value in values if (number := _number(value)) is not None]
    texts = [value for value in values if isinstance(value, str)]
    message = _first(said, _MESSAGES, lambda value: value if isinstance(value, str) else None) or next(iter(texts), None)
    add, done = _first(said, _ADDS, _number), _first(said, _SETS, _number)
    total = _first(said, _TOTALS, _number)
    if method.endswith("total") or method in ("set_max", "set_length"):
        total = next(iter(numbers), total)
    elif len(numbers) > 1:
        done, total = numbers[0], numbers[1]
    elif numbers and (method.startswith("set") or method in _SETS):
        done = numbers[0]
    elif numbers:
        add = numbers[0]
    elif method in _STEPS and add is None and done is None:
        add = 1.0
    return Told(None if message is None else message[:MESSAGE_LENGTH], add, done, total)


def _first(said: Mapping[str, Any], names: tuple[str, ...], read: Callable[[Any], Any]) -> Any:
    return next((value for name in names if name in said and (value := read(said[name])) is not None), None)


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, str, bytes, Mapping)) or not hasattr(type(value), "__float__"):
        return None
    number = float(value)
    return number if math.isfinite(number) and abs(number) <= LARGEST_NUMBER else None
