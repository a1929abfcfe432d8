"""The files of a partition, written a slice at a time: scalars.parquet, one .f32 per vector, errors.jsonl."""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plugin_worker.failures import Failure
from plugin_worker.features import Feature
from plugin_worker.limits import FULL_ROW_TRACEBACKS, LATER_ROW_TRACEBACK, ROW_ERROR_MESSAGE, ROW_ERROR_TRACEBACK
from plugin_worker.row_matching import as_array
from plugin_worker.tracebacks import clip

_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("output_index", pa.int32(), nullable=False),
        pa.field("fields", pa.large_string(), nullable=False),
        pa.field("missing_vectors", pa.list_(pa.string()), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class OutputBlock:
    """Output rows of one call, aligned: the origin in the slice, the JSON fields, and per feature values and missing."""

    origins: Sequence[int]
    fields: pa.LargeStringArray
    vectors: list[np.ndarray]
    missing: list[np.ndarray]


class ErrorFile:
    """errors.jsonl of a directory; a `with` block closes it. Counts what was written."""

    def __init__(self, directory: str) -> None:
        self.rows_failed = 0
        self._file = open(os.path.join(directory, "errors.jsonl"), "wb")

    def __enter__(self) -> "ErrorFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, row_ids: Sequence[int], errors: dict[int, Failure]) -> None:
        """Those of a slice, by origin."""
        for origin in sorted(errors):
            self._write_one(row_ids[origin], errors[origin])

    def _write_one(self, row_id: int, failure: Failure) -> None:
        full = self.rows_failed < FULL_ROW_TRACEBACKS
        line: dict[str, Any] = {
            "row": row_id,
            "exception": failure.exception,
            "message": clip(failure.message, ROW_ERROR_MESSAGE),
            "traceback": clip(failure.traceback, ROW_ERROR_TRACEBACK if full else LATER_ROW_TRACEBACK),
            "stage": failure.stage,
            "error_type": failure.error_type,
        }
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self.rows_failed += 1


class PartitionFiles:
    """Opens the files of an empty directory; a `with` block closes them. Counts what was written."""

    def __init__(self, directory: str, features: Sequence[Feature]) -> None:
        self.rows_out = 0
        self._features = features
        self._names = [f"{index}.f32" for index in range(len(features))]
        with ExitStack() as opened:
            self._scalars = opened.enter_context(
                pq.ParquetWriter(
                    os.path.join(directory, "scalars.parquet"),
                    _SCHEMA,
                    use_dictionary=False,
                    write_statistics=False,
                    compression="snappy",
                    store_schema=False,
                )
            )
            self._vectors = [opened.enter_context(open(os.path.join(directory, name), "wb")) for name in self._names]
            self._errors = opened.enter_context(ErrorFile(directory))
            self._opened = opened.pop_all()

    def __enter__(self) -> "PartitionFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, where)

    @property
    def rows_failed(self) -> int:
        return self._errors.rows_failed

    @property
    def vector_files(self) -> dict[str, str]:
        return {feature.feature_name: name for feature, name in zip(self._features, self._names)}

    def write_slice(self, row_ids: Sequence[int], blocks: Sequence[OutputBlock], errors: dict[int, Failure]) -> None:
        """Outputs in the order (row, output_index); those of a row that is in `errors` are left out."""
        self._errors.write(row_ids, errors)
        blocks = [block for block in blocks if len(block.origins)]
        if not blocks:
            return
        origins = np.concatenate([as_array(block.origins) for block in blocks])
        kept = np.arange(len(origins))
        if errors:
            kept = np.flatnonzero(~np.isin(origins, np.array(list(errors), dtype=np.int64)))
        if not len(kept):
            return
        order = kept[np.argsort(origins[kept], kind="stable")]
        in_order = len(order) == len(origins) and bool((order[1:] > order[:-1]).all())
        fields = pa.chunked_array([block.fields for block in blocks])
        if not in_order:
            fields = fields.take(pa.array(order))
        self._write_scalars(np.array(row_ids, dtype=np.int64), origins[order], fields, self._missing_lists(blocks, order))
        for index, file in enumerate(self._vectors):
            parts = [block.vectors[index] for block in blocks]
            for values in parts if in_order else [np.concatenate(parts)[order]]:
                file.write(values.data.cast("B"))
        self.rows_out += len(order)

    def _write_scalars(
        self, row_ids: np.ndarray, origins: np.ndarray, fields: pa.ChunkedArray, missing: pa.Array
    ) -> None:
        table = pa.Table.from_arrays(
            [
                pa.array(row_ids[origins], pa.int64()),
                pa.array(_output_indexes(origins), pa.int32()),
                fields,
                missing,
            ],
            schema=_SCHEMA,
        )
        self._scalars.write_table(table, row_group_size=len(origins))

    def _missing_lists(self, blocks: Sequence[OutputBlock], order: np.ndarray) -> pa.Array:
        columns = [
            np.concatenate([block.missing[index] for block in blocks])[order] for index in range(len(self._features))
        ]
        if not any(column.any() for column in columns):
            nowhere = pa.array(np.zeros(len(order) + 1, dtype=np.int32))
            return pa.ListArray.from_arrays(nowhere, pa.array([], pa.string()))
        names = [feature.feature_name for feature in self._features]
        rows = zip(*(column.tolist() for column in columns))
        lists = [[name for name, gone in zip(names, row) if gone] for row in rows]
        return pa.array(lists, pa.list_(pa.string()))


def _output_indexes(origins: np.ndarray) -> np.ndarray:
    """0, 1, 2 … within each run of equal origins, which are sorted."""
    places = np.arange(len(origins))
    starts = np.r_[True, origins[1:] != origins[:-1]]
    return (places - np.maximum.accumulate(np.where(starts, places, 0))).astype(np.int32)
