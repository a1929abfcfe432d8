"""Python values as JSON values: what numpy, pandas and the datetime module add to plain ones."""

import datetime
import enum
import math
import sys
from typing import Any, Final

from plugin_worker.limits import JSON_DEPTH


class NotJson(ValueError):
    """The value, or one inside it, has no JSON form. The message says where and what."""


# How orjson 3.13 writes numpy's NaT: of nanoseconds, and of minutes, hours, days or weeks.
_NAT_AS_DATE: Final = (b'"1677-09-21T00:12:43.145224"', b'"1970-01-01T00:00:00"')


def may_hold_nat(text: bytes) -> bool:
    """Of what orjson has written: whether a date in it may be numpy's NaT. Then `to_json_value` is to be asked, which knows."""
    return any(date in text for date in _NAT_AS_DATE)


def to_json_value(value: Any, where: str = "value", depth: int = 0) -> Any:
    """None, bool, int, float, str, list, dict only. NaN, infinities, NaT and NA become None. Raises NotJson."""
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str:
        return _text(value, where)
    if kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if depth >= JSON_DEPTH:
        raise NotJson(f"{where} is nested deeper than {JSON_DEPTH} levels")
    if isinstance(value, dict):
        members = {_key(key, where): to_json_value(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
        if len(members) < len(value):
            raise NotJson(f"{where} has keys that are one and the same in JSON, such as 1 and '1'")
        return members
    if isinstance(value, (list, tuple)):
        return [to_json_value(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    plain = plain_value(value, where)
    # Only a value that became something else is looked at again, or a hostile class could keep us here.
    return to_json_value(plain, where, depth + 1)


def plain_value(value: Any, where: str = "value") -> Any:
    """The built-in value behind a datetime, an enum, a UUID, a numpy scalar or array, NaT or NA. Raises NotJson for the rest."""
    if isinstance(value, datetime.datetime) or isinstance(value, (datetime.date, datetime.time)):
        text = value.isoformat()
        return None if text == "NaT" else str(text)
    if isinstance(value, (str, int, float)):
        for builtin in (str, int, float):
            if isinstance(value, builtin):
                return builtin(value) if builtin is not str else str.__str__(value)
    # As the fast writer has them: what a row holds beside one must not decide whether it has a form.
    if isinstance(value, enum.Enum):
        return value.value
    uuid: Any = sys.modules.get("uuid")
    if uuid is not None and isinstance(value, uuid.UUID):
        return str(value)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
            return None if numpy.isnat(value) else _time(value)
        if isinstance(value, numpy.generic) and not isinstance(
            value, (numpy.void, numpy.complexfloating, numpy.bytes_)
        ):
            # What is wider than a float has itself as its item.
            return float(value) if isinstance(value, numpy.longdouble) else value.item()
        if isinstance(value, numpy.ndarray):
            # `tolist` makes bare numbers of times.
            if value.dtype.kind in "mM":
                return list(value) if value.ndim else value[()]
            return value.tolist()
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None:
        if value is pandas.NA or value is pandas.NaT:
            return None
        if isinstance(value, pandas.Timedelta):
            return value.isoformat()
    raise NotJson(f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which has no JSON form")


def _time(value: Any) -> str:
    """A numpy date as orjson writes it; a duration, and a date that is beyond Python's, in numpy's own words."""
    try:
        moment = value.astype("datetime64[us]").item() if value.dtype.kind == "M" else None
    except (OverflowError, ValueError):
        moment = None
    return moment.isoformat() if isinstance(moment, datetime.datetime) else str(value)


def _text(value: str, where: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson(f"{where} holds text that is not valid Unicode (a lone surrogate)") from None
    return value


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return _text(str.__str__(key), where)
    if isinstance(key, bool):
        return "true" if key else "false"
    plain = key if isinstance(key, (int, float)) or key is None else plain_value(key, f"a key of {where}")
    return "null" if plain is None else str(plain)
