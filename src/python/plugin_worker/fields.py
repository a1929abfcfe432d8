"""The stored columns of output rows as JSON objects, one per row."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from plugin_worker.json_values import NotJson, may_hold_nat, plain_value, to_json_value
from plugin_worker.limits import JSON_DEPTH, ROW_FIELDS


# A cell of a column that its row does not have.
ABSENT: Final = object()


def encode_rows(
    names: Sequence[str], columns: Sequence[Sequence[Any]], rows: int, gaps: bool = False
) -> tuple[pa.LargeStringArray, dict[int, str]]:
    """A JSON object per row, and by row why one could not be written (its text is then empty).

    `columns` are aligned with `names`, cells as Python objects. NaN, NaT and NA become null. With `gaps` cells
    may be ABSENT.
    """
    if not names:
        return pa.repeat(pa.scalar("{}", pa.large_string()), rows), {}
    dumps = _writer()
    # A third of the time of `dict(zip(names, cells))` for each row.
    objects: list[dict[str, Any]] = [{names[0]: cell} for cell in columns[0]]
    for name, column in zip(names[1:], columns[1:]):
        for fields, cell in zip(objects, column):
            fields[name] = cell
    if gaps:
        objects = [{name: cell for name, cell in fields.items() if cell is not ABSENT} for fields in objects]
    texts = _plain_rows(objects, dumps)
    return (texts, {}) if texts is not None else _rows_one_by_one(objects, dumps)


def _plain_rows(objects: list[dict[str, Any]], dumps: Callable[[Any], bytes]) -> pa.LargeStringArray | None:
    """None when a row needs a look of its own: a value that cannot be written, one inside another, a large text.

    Written as one list: where there are no more braces than rows, each begins a row, and no text of it is made alone.
    """
    try:
        text = dumps(objects)
    except Exception:
        return None
    if _containers(text) != len(objects) + 1 or may_hold_nat(text):
        return None
    places = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("{"))
    joined = text[1:-1].replace(b"},{", b"}{")
    # A bracket before all of them, and a comma between each two, are gone.
    offsets = np.append(places - np.arange(1, len(places) + 1), len(joined))
    if len(objects) and np.diff(offsets).max() > ROW_FIELDS:
        return None
    return pa.LargeStringArray.from_buffers(len(objects), pa.py_buffer(offsets), pa.py_buffer(joined))


def _containers(text: bytes) -> int:
    """No fewer than there are: brackets inside of strings count too."""
    return text.count(b"{") + text.count(b"[")


def _rows_one_by_one(
    objects: list[dict[str, Any]], dumps: Callable[[Any], bytes]
) -> tuple[pa.LargeStringArray, dict[int, str]]:
    texts: list[bytes] = []
    errors: dict[int, str] = {}
    for row, fields in enumerate(objects):
        try:
            text = dumps(fields)
            if _containers(text) > JSON_DEPTH:
                to_json_value(fields, "fields")
            if may_hold_nat(text):
                text = _written_with_care(fields)
        except Exception:
            try:
                text = _written_with_care(fields)
            except Exception as error:
                errors[row] = f"Column {error}." if isinstance(error, NotJson) else f"The row is not JSON: {error}."
                text = b""
        if len(text) > ROW_FIELDS:
            errors[row] = f"The row's columns take {len(text)} bytes as JSON, more than {ROW_FIELDS}."
            text = b""
        texts.append(text)
    return pa.array(texts, pa.large_binary()).cast(pa.large_string()), errors


def _writer() -> Callable[[Any], bytes]:
    try:
        import orjson
    except ImportError:
        write = json.JSONEncoder(
            allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=plain_value
        ).encode
        return lambda value: write(value).encode("utf-8")
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS
    return partial(orjson.dumps, default=plain_value, option=options)


def _written_with_care(fields: dict[str, Any]) -> bytes:
    """Value by value, so that a failure names its column. Also for what the fast writer refuses: int keys, big ints."""
    # Depth 1: the object of the columns counts too, as it does for the documents process.
    values = {name: to_json_value(value, name, 1) for name, value in fields.items()}
    return json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
