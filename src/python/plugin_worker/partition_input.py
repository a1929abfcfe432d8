"""The rows of a partition, a slice at a time: JSON lines in, one DataFrame per slice."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import pandas as pd

from plugin_worker.limits import SLICE_INPUT

ROW: Final = "__row"

# The appliance's own columns: given to every step, never stored as fields of a document.
SYSTEM_COLUMNS: Final = (
    "document_id",
    "object_id",
    "collection_id",
    "feature_extractor_id",
    "blob_id",
    "blob_property",
    "blob_type",
    "mime_type",
    "size_bytes",
    "data",
    "source_url",
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows that are in memory together. A row's place in these lists is its `origin` everywhere below."""

    row_ids: list[int]
    rows: list[dict[str, Any]]
    line_bytes: list[int]

    def column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self.rows]


def read_slices(path: str, max_rows: int) -> Iterator[Slice]:
    """Slices of at most `max_rows` rows and about SLICE_INPUT bytes of lines, but at least one row."""
    loads = json_reader()
    with open(path, "rb") as lines:
        current = Slice([], [], [])
        size = 0
        for line in lines:
            if not line.strip():
                continue
            if current.rows and (len(current.rows) >= max_rows or size + len(line) > SLICE_INPUT):
                yield current
                current, size = Slice([], [], []), 0
            row = loads(line)
            current.row_ids.append(row.pop(ROW))
            current.rows.append(row)
            current.line_bytes.append(len(line))
            size += len(line)
        if current.rows:
            yield current


class FrameBuilder:
    """Frames with the same columns from slice to slice: a column seen once, or declared, stays."""

    def __init__(self, declared_columns: Sequence[str]) -> None:
        self.columns: dict[str, None] = dict.fromkeys((*SYSTEM_COLUMNS, *declared_columns))

    def frame(self, rows: Slice) -> pd.DataFrame:
        values = self._uniform(rows.rows) or self._varied(rows)
        frame = pd.DataFrame({name: _series(cells) for name, cells in values.items()})
        # pandas 3 would keep the names in an Arrow array, whose look-ups cost more than a small batch's own work.
        frame.columns = pd.Index(list(values), dtype=object)
        return frame

    def _uniform(self, rows: list[dict[str, Any]]) -> dict[str, Sequence[Any]] | None:
        """All columns at once when every row has the keys of the first, as rows of one collection mostly do."""
        names = tuple(rows[0])
        if len(names) < 2 or any(len(row) != len(names) for row in rows):
            return None
        try:
            cells = zip(*map(itemgetter(*names), rows))
        except KeyError:
            return None
        self.columns.update(dict.fromkeys(names))
        values: dict[str, Sequence[Any]] = dict.fromkeys(self.columns, [None] * len(rows))
        values.update(zip(names, cells))
        return values

    def _varied(self, rows: Slice) -> dict[str, Sequence[Any]]:
        for row in rows.rows:
            self.columns.update(dict.fromkeys(row))
        return {name: rows.column(name) for name in self.columns}


def json_reader() -> Callable[[bytes], Any]:
    try:
        import orjson
    except ImportError:
        return json.loads
    return orjson.loads


def _series(values: Sequence[Any]) -> pd.Series:
    """Numbers as numpy columns; everything else as objects, so that None stays None in every version of pandas."""
    kinds = set(map(type, values))
    if kinds in ({int}, {bool}, {float}, {int, float}) or kinds in ({int, type(None)}, {float, type(None)}):
        try:
            return pd.Series(
                values, dtype=_NUMPY_TYPE[bool if bool in kinds else float if len(kinds) > 1 else kinds.pop()]
            )
        except OverflowError:
            return pd.Series(values, dtype=object)
    return pd.Series(values, dtype=object)


_NUMPY_TYPE: Final = {bool: "bool", int: "int64", float: "float64"}
