"""What one step group hands to the next: its rows as its last step left them, in Arrow IPC streams, two for each slice.

The first stream has pickles, the second the rows: a type may differ from slice to slice, and a stream has one schema. Every cell
comes out as the object it was. What Arrow carries exactly is carried by it (numpy numbers, plain scalars, float32 vectors); a cell
that is still the input's own is not carried, since the next worker reads the same input; all else is pickled, many rows at a time.
(A list of floats takes as long by Arrow as by pickle, and only pickle does not ask what each number is.)
"""

import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from plugin_worker.failures import Failure, RequestFailed, failure_of
from plugin_worker.limits import FAILURE_MESSAGE, HANDED_ROWS
from plugin_worker.partition_input import Slice
from plugin_worker.plugin_loader import Plugin
from plugin_worker.step_input import objects_column
from plugin_worker.tracebacks import clip

_PLAIN: Final = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.large_string(),
    bytes: pa.large_binary(),
}
# Nobody can change one of these in place, so that it is enough to say that the input's is meant.
_UNCHANGING: Final = frozenset({bool, int, float, str, type(None)})
_PICKLES: Final = pa.schema([pa.field("pickle", pa.large_binary(), nullable=False)])
_ORIGINS: Final = pa.field("origin", pa.int64(), nullable=False)
_HEAD: Final = b"columns"


class GroupFileRefused(Exception):
    """The file is not what a step group hands on."""


class GroupFileWriter:
    """Writes a new file; `close` ends it."""

    def __init__(self, path: str, plugin: Plugin) -> None:
        self._plugin = plugin
        self._file = pa.OSFile(path, "wb")

    def write(
        self, rows: Slice, frame: pd.DataFrame, origins: list[int], stage: str, errors: dict[int, Failure]
    ) -> None:
        """One slice, `origins` in order. A row with a cell that cannot be pickled goes to `errors`, as of `stage`."""
        columns = [_carried(rows, name, frame[name], origins) for name in frame.columns]
        kept = self._write_pickles(rows, frame, [column for column in columns if column.how == "pickle"], origins, stage, errors)
        arrays: list[pa.Array] = [pa.array(origins, pa.int64())]
        arrays += [column.array for column in columns if column.array is not None]
        fields = [_ORIGINS, *(pa.field(f"c{place}", array.type) for place, array in enumerate(arrays[1:]))]
        head = json.dumps([{"name": column.name, "how": column.how} for column in columns]).encode()
        batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata={_HEAD: head}))
        with pa.ipc.new_stream(self._file, batch.schema) as stream:
            stream.write_batch(batch if kept is None else batch.take(pa.array(kept, pa.int64())))

    def close(self) -> None:
        self._file.close()

    def _write_pickles(
        self,
        rows: Slice,
        frame: pd.DataFrame,
        columns: Sequence["_Carried"],
        origins: list[int],
        stage: str,
        errors: dict[int, Failure],
    ) -> list[int] | None:
        """The places that are kept; None: all."""
        kept: list[int] = []
        with pa.ipc.new_stream(self._file, _PICKLES) as stream:
            for start, stop in _blocks(origins) if columns else ():
                places = list(range(start, stop))
                cells = [_cells(frame[column.name], places) for column in columns]
                try:
                    pickled = _pickled(rows, columns, cells, origins, places)
                except MemoryError as error:
                    raise RequestFailed(failure_of(error, stage, self._plugin)) from error
                except BaseException:
                    bad = self._unpicklable(frame, columns, origins, places, stage)
                    errors.update({origin: failure for origin, failure in bad.items() if origin not in errors})
                    places = [place for place in places if origins[place] not in bad]
                    cells = [_cells(frame[column.name], places) for column in columns]
                    try:
                        pickled = _pickled(rows, columns, cells, origins, places)
                    except BaseException as error:
                        # Each alone can be, and not all: they are tried in smaller partitions.
                        raise RequestFailed(failure_of(error, stage, self._plugin)) from error
                stream.write_batch(pa.RecordBatch.from_arrays([pa.array([pickled], pa.large_binary())], schema=_PICKLES))
                kept += places
        return kept if columns and len(kept) < len(origins) else None

    def _unpicklable(
        self, frame: pd.DataFrame, columns: Sequence["_Carried"], origins: list[int], places: Sequence[int], stage: str
    ) -> dict[int, Failure]:
        found: dict[int, Failure] = {}
        for column in columns:
            for place in places:
                if origins[place] in found:
                    continue
                try:
                    pickle.dumps(_cells(frame[column.name], [place]), protocol=5)
                except BaseException as error:
                    failure = failure_of(error, stage, self._plugin)
                    message = f"Column {column.name!r} cannot be handed to the next step group: {failure.message}"
                    found[origins[place]] = replace(
                        failure, error_type="runtime", message=clip(message, FAILURE_MESSAGE)
                    )
        return found


class GroupFileReader:
    """Reads what a `GroupFileWriter` wrote over the same slices; `close` ends it."""

    def __init__(self, path: str, stage: str, plugin: Plugin) -> None:
        self._stage = stage
        self._plugin = plugin
        try:
            self._file = pa.OSFile(path, "rb")
        except (OSError, pa.ArrowException) as error:
            raise self._refused(error) from error

    def read(self, rows: Slice) -> tuple[pd.DataFrame, list[int]]:
        """The rows of the next slice and the origin of each.

        Cells of the input that were handed on take their place in `rows`: what a step did inside of one, it did to the input.
        Raises RequestFailed where the file is not whole, or a pickle cannot be read.
        """
        try:
            with pa.ipc.open_stream(self._file) as stream:
                blocks = [pickle.loads(batch.column(0)[0].as_py()) for batch in stream]
            with pa.ipc.open_stream(self._file) as stream:
                table = stream.read_all()
            return _frame(rows, table, blocks)
        except BaseException as error:
            raise self._refused(error) from error

    def close(self) -> None:
        self._file.close()

    def _refused(self, error: BaseException) -> RequestFailed:
        failure = failure_of(error, self._stage, self._plugin)
        message = f"What the step group before handed on cannot be read: {failure.message}"
        return RequestFailed(replace(failure, message=clip(message, FAILURE_MESSAGE)))


@dataclass(frozen=True, slots=True)
class _Carried:
    """A column and how it travels: in `array`, or as pickles, or not at all."""

    name: str
    how: Literal["input", "numpy", "plain", "vectors", "pickle"]
    array: pa.Array | None = None


def _carried(rows: Slice, name: str, column: pd.Series, origins: list[int]) -> _Carried:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype.isnative:
        return _Carried(name, "numpy", pa.array(column.to_numpy(), from_pandas=False))
    if dtype != object:
        return _Carried(name, "pickle")
    cells = column.tolist()
    kinds = set(map(type, cells))
    if kinds <= _UNCHANGING and all(map(is_, cells, _of_input(rows, name, origins))):
        return _Carried(name, "input")
    values = kinds - {type(None)}
    kind = values.pop() if len(values) == 1 else None
    if kind is np.ndarray:
        vectors = _vectors(cells)
        return _Carried(name, "pickle" if vectors is None else "vectors", vectors)
    if kind not in _PLAIN:
        return _Carried(name, "pickle")
    try:
        return _Carried(name, "plain", pa.array(cells, _PLAIN[kind], from_pandas=False))
    except (pa.ArrowException, UnicodeError, OverflowError):
        # A lone surrogate, a number beyond 64 bits.
        return _Carried(name, "pickle")


def _vectors(cells: list[Any]) -> pa.Array | None:
    """None where they are no float32 of one length, or where one array is in two rows: a step that writes to it writes to both."""
    some = [cell for cell in cells if cell is not None]
    shape = some[0].shape
    alike = all(cell.dtype == np.float32 and cell.dtype.isnative and cell.shape == shape for cell in some)
    if not alike or len(shape) != 1 or shape[0] == 0 or len(set(map(id, some))) < len(some):
        return None
    none = np.zeros(shape, dtype=np.float32)
    flat = np.concatenate([none if cell is None else cell for cell in cells])
    values = pa.FixedSizeListArray.from_arrays(pa.array(flat), shape[0])
    present = pa.array([cell is not None for cell in cells])
    return pa.StructArray.from_arrays([values, present], ["values", "present"])


def _of_input(rows: Slice, name: str, origins: list[int]) -> list[Any]:
    column = rows.column(name)
    return [column[origin] for origin in origins]


def _blocks(origins: list[int]) -> Iterator[tuple[int, int]]:
    """Places that are pickled together. Rows that one input row has become may share an object, and stay together."""
    start = 0
    while start < len(origins):
        stop = min(start + HANDED_ROWS, len(origins))
        while stop < len(origins) and origins[stop] == origins[stop - 1]:
            stop += 1
        yield start, stop
        start = stop


def _cells(column: pd.Series, places: list[int]) -> "list[Any] | pd.Series":
    """Of a column of objects its cells; of any other kind a column, which remembers its kind."""
    if column.dtype == object:
        return list(column.to_numpy()[places])
    return column.iloc[places].reset_index(drop=True)


def _pickled(
    rows: Slice, columns: Sequence[_Carried], cells: Sequence[Any], origins: list[int], places: list[int]
) -> bytes:
    """Of each column its cells, and which of them are still the input's own, though something inside may have changed."""
    block = []
    for column, values in zip(columns, cells):
        given = _of_input(rows, column.name, [origins[place] for place in places]) if isinstance(values, list) else ()
        own = [at for at, (cell, was) in enumerate(zip(values, given)) if cell is was and type(cell) in (dict, list)]
        block.append((values, own))
    return pickle.dumps(block, protocol=5)


def _frame(rows: Slice, table: pa.Table, blocks: Sequence[Any]) -> tuple[pd.DataFrame, list[int]]:
    heads = json.loads(table.schema.metadata[_HEAD])
    origins = table.column(0).to_pylist()
    if origins != sorted(origins) or (origins and not 0 <= origins[0] <= origins[-1] < len(rows.row_ids)):
        raise GroupFileRefused("it names rows that were not asked")
    arrays = iter(table.columns[1:])
    columns: dict[str, pd.Series] = {}
    pickled = 0
    for head in heads:
        name, how = str(head["name"]), head["how"]
        if how == "pickle":
            columns[name] = _unpickled(rows, name, [block[pickled] for block in blocks], origins)
            pickled += 1
        elif how == "input":
            columns[name] = objects_column(_of_input(rows, name, origins))
        else:
            columns[name] = _FROM_ARROW[how](next(arrays).combine_chunks())
        if len(columns[name]) != len(origins):
            raise GroupFileRefused(f"column {name!r} has {len(columns[name])} cells for {len(origins)} rows")
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(origins)))
    frame.columns = pd.Index(list(columns), dtype=object)
    return frame, origins


def _unpickled(rows: Slice, name: str, blocks: Sequence[Any], origins: list[int]) -> pd.Series:
    if blocks and not isinstance(blocks[0][0], list):
        return pd.concat([column for column, _ in blocks], ignore_index=True)
    cells: list[Any] = []
    for values, own in blocks:
        for at in own:
            rows.columns[name][origins[len(cells) + at]] = values[at]
        cells += values
    return objects_column(cells)


def _from_numpy(array: pa.Array) -> pd.Series:
    # Copied: a step may write to it.
    return pd.Series(np.array(array.to_numpy(zero_copy_only=False)))


def _from_plain(array: pa.Array) -> pd.Series:
    return objects_column(array.to_pylist())


def _from_vectors(array: pa.Array) -> pd.Series:
    values = array.field("values")
    matrix = np.array(values.flatten().to_numpy()).reshape(len(values), values.type.list_size)
    present = array.field("present").to_pylist()
    return objects_column([vector if there else None for vector, there in zip(matrix, present)])


_FROM_ARROW: Final = {"numpy": _from_numpy, "plain": _from_plain, "vectors": _from_vectors}
