"""The rows that a step is given, call by call, and as they were when it is given them once more.

A call that failed may have changed what is in a cell (a dict, a list, an array) before it failed, and its rows are called again: in
halves, or when a service can answer. Then they have what is in their cells anew: of the input read from its lines once more, of what
an earlier step made from copies. Objects of the plugin's own classes stay as they are: nobody here knows how to copy them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from plugin_worker.object_rows import SYSTEM_COLUMNS

# By origin, the columns of these rows; of no use are those without a cell that can be changed in place.
ReadAgain = Callable[[Sequence[int]], Mapping[str, Sequence[Any]]]

CHANGEABLE: Final = frozenset((dict, list, set, bytearray, np.ndarray))
# They are texts and numbers, unless a step has put something else into them.
_UNCHANGING_COLUMNS: Final = frozenset(SYSTEM_COLUMNS)


class StepInput:
    """Rows of one frame for one step."""

    def __init__(self, frame: pd.DataFrame, origins: Sequence[int], read_again: ReadAgain | None) -> None:
        """`read_again`: the frame is the input as it was read; None: cells are what an earlier step made of them."""
        self.frame = frame
        self.origins = origins
        self._read_again = read_again
        self._given = bytearray(len(frame))
        self._kept = {} if read_again is not None else _kept_cells(frame)

    def take(self, places: Sequence[int]) -> pd.DataFrame:
        """Rows with a fresh index; writing to them does not touch the frame (copy on write)."""
        batch = take_rows(self.frame, places)
        if self._given_before(places):
            for name, cells in self._cells_again(places).items():
                batch[name] = objects_column(cells)
        return batch

    def _given_before(self, places: Sequence[int]) -> bool:
        """And from now on they are."""
        if isinstance(places, range):
            before = self._given.find(1, places.start, places.stop) >= 0
            self._given[places.start : places.stop] = b"\1" * len(places)
            return before
        before = any(self._given[place] for place in places)
        for place in places:
            self._given[place] = 1
        return before

    def _cells_again(self, places: Sequence[int]) -> dict[str, list[Any]]:
        if self._read_again is None:
            copies: dict[int, Any] = {}
            return {name: [_copied(cells[place], copies) for place in places] for name, cells in self._kept.items()}
        columns = self._read_again([self.origins[place] for place in places])
        return {
            name: list(cells)
            for name, cells in columns.items()
            if name in self.frame.columns and not CHANGEABLE.isdisjoint(map(type, cells))
        }


def take_rows(frame: pd.DataFrame, places: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Rows with a fresh index; writing to them does not touch `frame` (copy on write)."""
    view = frame.iloc[places.start : places.stop] if isinstance(places, range) else frame.iloc[places]
    view.index = pd.RangeIndex(len(view))
    return view


def as_the_workers_own(result: Any, waits: bool = True) -> Any:
    """What a step returned, without its attributes, which pandas copies and compares each time that a column is looked at.

    `waits`: until other calls have been made: the step may write to the same frame then, and into the memory that arrays in its
    cells are views of. What is no frame is left as it is.
    """
    if not isinstance(result, pd.DataFrame) or not (waits or result.attrs):
        return result
    own = pd.DataFrame(result)
    own.attrs = {}
    for name, cells in _object_cells(own) if waits else ():
        first = next((cell for cell in cells if cell is not None), None)
        if type(first) is np.ndarray and first.base is not None:
            own[name] = _own_arrays(cells)
    return own


def objects_column(cells: Sequence[Any]) -> pd.Series:
    """A column of these objects, whatever they are."""
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return pd.Series(column, dtype=object, copy=False)


def _own_arrays(cells: np.ndarray) -> np.ndarray:
    own = np.empty(len(cells), dtype=object)
    if len(set(map(id, cells))) == len(cells):
        own[:] = [cell.copy() if type(cell) is np.ndarray else cell for cell in cells]
    else:
        copies: dict[int, Any] = {}
        own[:] = [_copied(cell, copies) if type(cell) is np.ndarray else cell for cell in cells]
    return own


def _kept_cells(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Columns in which a call can change something in place, as copies."""
    kept: dict[str, list[Any]] = {}
    for name, cells in _object_cells(frame):
        if not CHANGEABLE.isdisjoint(map(type, cells)):
            copies: dict[int, Any] = {}
            kept[name] = [_copied(cell, copies) for cell in cells]
    return kept


def _object_cells(frame: pd.DataFrame) -> Iterator[tuple[Any, np.ndarray]]:
    if not frame.columns.is_unique:
        return
    for name in frame.columns.tolist():
        cells = None if name in _UNCHANGING_COLUMNS else frame[name].values
        if isinstance(cells, np.ndarray) and cells.dtype == object:
            yield name, cells


def _copied(value: Any, copies: dict[int, Any]) -> Any:
    """`copies`: of what has been copied already, by id. What two rows share they share in the copies too."""
    if type(value) not in CHANGEABLE:
        return value
    try:
        return _copy(value, copies)
    except RecursionError:
        # Nested deeper than any document may be: it stays what it is.
        return value


def _copy(value: Any, copies: dict[int, Any]) -> Any:
    kind = type(value)
    if kind not in CHANGEABLE:
        return value
    copy = copies.get(id(value))
    if copy is not None:
        return copy
    if kind is dict:
        copy = copies[id(value)] = {}
        for key, inner in value.items():
            copy[key] = _copy(inner, copies)
    elif kind is list and value and not isinstance(value[0], (float, int, str)):
        copy = copies[id(value)] = []
        copy.extend(_copy(inner, copies) for inner in value)
    else:
        # Of a list of numbers, an embedding for one, nothing is looked at.
        copy = copies[id(value)] = value.copy()
    return copy
