"""The stored columns of output rows as JSON objects, one per row."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from plugin_worker.json_values import NotJson, plain_value, to_json_value
from plugin_worker.limits import JSON_DEPTH, ROW_FIELDS


def encode_rows(names: Sequence[str], columns: Sequence[Sequence[Any]], rows: int) -> tuple[list[str], dict[int, str]]:
    """A JSON object per row, and by row why one could not be written (its text is then empty).

    `columns` are aligned with `names`, cells as Python objects. NaN, NaT and NA become null.
    """
    if not names:
        return ["{}"] * rows, {}
    dumps = _writer()
    texts: list[str] = []
    errors: dict[int, str] = {}
    for row, cells in enumerate(zip(*columns)):
        fields = dict(zip(names, cells))
        try:
            text = dumps(fields)
            if text.count(b"{") + text.count(b"[") > JSON_DEPTH:
                to_json_value(fields, "fields")
        except Exception:
            try:
                text = _written_with_care(fields)
            except Exception as error:
                errors[row] = f"Column {error}." if isinstance(error, NotJson) else f"The row is not JSON: {error}."
                text = b""
        if len(text) > ROW_FIELDS:
            errors[row] = f"The row's columns take {len(text)} bytes as JSON, more than {ROW_FIELDS}."
            text = b""
        texts.append(text.decode("utf-8"))
    return texts, errors


def _writer() -> Callable[[dict[str, Any]], bytes]:
    try:
        import orjson
    except ImportError:
        return lambda fields: json.dumps(fields, allow_nan=False, ensure_ascii=False, default=plain_value).encode(
            "utf-8"
        )
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS
    return lambda fields: orjson.dumps(fields, default=plain_value, option=options)


def _written_with_care(fields: dict[str, Any]) -> bytes:
    """Value by value, so that a failure names its column. Also for what the fast writer refuses: int keys, big ints."""
    # Depth 1: the object of the columns counts too, as it does for the documents process.
    values = {name: to_json_value(value, name, 1) for name, value in fields.items()}
    return json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
