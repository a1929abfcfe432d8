"""The rows of a partition, a slice at a time: JSON lines in, one DataFrame per slice."""

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from plugin_worker.limits import SLICE_INPUT
from plugin_worker.object_rows import SYSTEM_COLUMNS, Columns, InputPlan, ObjectRows, StoredObjects

ROW: Final = "__row"


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows that are in memory together. A row's place in these lists is its `origin` everywhere below."""

    row_ids: list[int]
    columns: Columns
    line_bytes: list[int]
    # Its lines read once more: columns of these origins whose dicts and lists no step has had.
    read_again: Callable[[Sequence[int]], Columns]

    def column(self, name: str) -> list[Any]:
        return self.columns.get(name) or [None] * len(self.row_ids)


def read_slices(path: str, max_rows: int, plan: InputPlan | None) -> Iterator[Slice]:
    """Slices of at most `max_rows` rows and about SLICE_INPUT bytes of lines, but at least one row.

    A line is an object as the appliance keeps it, made a row by `plan`; without a plan it is the row itself, as JSON.
    """
    loads = json_reader()
    rows_of = _rows if plan is None else _rows_of_objects(ObjectRows(plan))
    with open(path, "rb") as file:
        while lines := file.readlines(SLICE_INPUT):
            lines = [line for line in lines if not line.isspace()]
            for start in range(0, len(lines), max_rows):
                some = lines[start : start + max_rows]
                # Thousands of new lists would make the collector walk them again and again, and none of them is garbage.
                gc.disable()
                try:
                    row_ids, columns = rows_of(some, loads)
                finally:
                    gc.enable()
                yield Slice(row_ids, columns, list(map(len, some)), partial(_columns_of, rows_of, loads, some))


_Loads = Callable[[bytes], Any]
_RowsOf = Callable[[Sequence[bytes], _Loads], tuple[list[int], Columns]]


def _columns_of(rows_of: _RowsOf, loads: _Loads, lines: Sequence[bytes], origins: Sequence[int]) -> Columns:
    return rows_of([lines[origin] for origin in origins], loads)[1]


def _rows(lines: Sequence[bytes], loads: _Loads) -> tuple[list[int], Columns]:
    rows = loads(b"[%b]" % b",".join(lines))
    row_ids = [row.pop(ROW) for row in rows]
    names = dict.fromkeys(name for row in rows for name in row)
    return row_ids, {name: [row.get(name) for row in rows] for name in names}


def _rows_of_objects(rows: ObjectRows) -> _RowsOf:
    def columns(lines: Sequence[bytes], loads: _Loads) -> tuple[list[int], Columns]:
        row_ids, objects = StoredObjects.read(lines, loads)
        return row_ids, rows.columns(objects)

    return columns


class FrameBuilder:
    """Frames with the same columns from slice to slice: a column seen once, or declared, stays."""

    def __init__(self, declared_columns: Sequence[str]) -> None:
        self.columns: dict[str, None] = dict.fromkeys((*SYSTEM_COLUMNS, *declared_columns))

    def frame(self, rows: Slice) -> pd.DataFrame:
        self.columns.update(dict.fromkeys(rows.columns))
        columns = {name: rows.column(name) for name in self.columns}
        numbers = {name: array for name, values in columns.items() if (array := _numbers(values)) is not None}
        objects = [name for name in columns if name not in numbers]
        cells = np.empty((len(objects), len(rows.row_ids)), dtype=object)
        for place, name in enumerate(objects):
            cells[place, :] = columns[name]
        # pandas 3 would keep the names in an Arrow array, whose look-ups cost more than a small batch's own work.
        names = pd.Index(list(columns), dtype=object)
        if len(numbers) > _INSERTED:
            arrays = {**numbers, **{name: pd.Series(cells[place], dtype=object) for place, name in enumerate(objects)}}
            frame = pd.DataFrame({name: arrays[name] for name in columns})
        else:
            # As one block: pandas would make it of single columns, and copy each once more.
            frame = pd.DataFrame(cells.T, columns=objects, dtype=object, copy=False)
            for place, name in enumerate(columns):
                if name in numbers:
                    frame.insert(place, name, numbers[name])
        frame.columns = names
        return frame


# Each is a block of its own, which every batch pays for; pandas warns of a hundred.
_INSERTED: Final = 4


def json_reader() -> Callable[[bytes], Any]:
    try:
        import orjson
    except ImportError:
        return json.loads
    return orjson.loads


def _numbers(values: Sequence[Any]) -> np.ndarray | None:
    """Numbers as a numpy column; None for everything else, which stays objects, so that None stays None."""
    kinds = set(map(type, values))
    numbers = kinds - {type(None)}
    if kinds != {bool} and not (numbers and numbers <= {int, float}):
        return None
    # None beside numbers is NaN, whichever numbers they are: a row must not fail for what stands in its neighbours.
    kind = "bool" if kinds == {bool} else "int64" if kinds == {int} else "float64"
    try:
        array = np.array(values, dtype=kind)
    except OverflowError:
        return None
    return None if kind == "float64" and int in kinds and _rounded(values, array) else array


def _rounded(values: Sequence[Any], floats: np.ndarray) -> bool:
    """Whether a whole number among them is another one as a float."""
    if not (np.abs(floats) >= _EXACT_FLOATS).any():
        return False
    return any(type(value) is int and int(float(value)) != value for value in values)


# Below it every whole number is a float.
_EXACT_FLOATS: Final = 2.0**53
