"""Embedding columns as float32, once per batch of a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np
import pandas as pd

from plugin_worker.failures import safe_text
from plugin_worker.features import Feature


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """`values` is rows × dim float32, zero where there is no vector. `missing` and `errors` are by row of the block."""

    values: np.ndarray
    missing: np.ndarray
    errors: dict[int, str]


def to_block(cells: Sequence[Any], feature: Feature) -> VectorBlock:
    """Cells are lists, tuples or arrays of `embedding_dim` finite numbers; None and NaN mean that the row has no vector."""
    values = _whole(cells, feature.embedding_dim)
    if values is not None:
        return VectorBlock(values, np.zeros(len(cells), dtype=bool), {})
    values = np.zeros((len(cells), feature.embedding_dim), dtype="<f4")
    missing = np.zeros(len(cells), dtype=bool)
    errors: dict[int, str] = {}
    for place, cell in enumerate(cells):
        if is_missing(cell):
            missing[place] = True
            continue
        row = _one(cell, feature)
        if isinstance(row, str):
            errors[place] = row
        else:
            values[place] = row
    return VectorBlock(values, missing, errors)


def no_vectors(rows: int, feature: Feature) -> VectorBlock:
    """The block of a batch that lacks the feature's column."""
    return VectorBlock(np.zeros((rows, feature.embedding_dim), dtype="<f4"), np.ones(rows, dtype=bool), {})


def is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (isinstance(cell, (float, np.floating)) and cell != cell)


def _whole(cells: Sequence[Any], size: int) -> np.ndarray | None:
    """All cells at once; None when one of them needs a look of its own."""
    try:
        if set(map(type, cells)) == {np.ndarray} and set(map(_SHAPE, cells)) == {(size,)}:
            block = np.concatenate(cells).reshape(len(cells), size)
        else:
            block = np.array(cells)
    except MemoryError:
        raise
    except Exception:
        # Whatever the cells' own classes raise when they are to be an array: a tensor that still has its gradient does.
        return None
    if block.shape != (len(cells), size) or block.dtype.kind not in "fiu":
        return None
    block = _float32(block)
    return block if np.isfinite(block).all() else None


_SHAPE: Final = attrgetter("shape")


def _one(cell: Any, feature: Feature) -> np.ndarray | str:
    name, size = feature.feature_name, feature.embedding_dim
    try:
        row = np.asarray(cell)
    except Exception as error:
        return f"Feature {name!r}: the value is not a list of numbers ({type(error).__name__}: {safe_text(error)})."
    if row.ndim != 1:
        return f"Feature {name!r}: expected a flat list of {size} numbers, got {_described(cell, row)}."
    if len(row) != size:
        return f"Feature {name!r}: expected {size} numbers, got {len(row)}."
    if row.dtype.kind not in "fiu":
        return f"Feature {name!r}: expected {size} numbers, got values that are not all numbers."
    row = _float32(row)
    wrong = np.flatnonzero(~np.isfinite(row))
    if len(wrong):
        return f"Feature {name!r}: expected {size} finite numbers, position {wrong[0]} is not (NaN or infinite as float32)."
    return row


def _described(cell: Any, row: np.ndarray) -> str:
    return f"a {type(cell).__name__}" if row.ndim == 0 else f"an array of shape {row.shape}"


def _float32(values: np.ndarray) -> np.ndarray:
    # A number too large for float32 becomes infinite and is then reported for its row. Whatever a plugin has asked numpy to raise.
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(values, dtype="<f4")
