"""Which of a pipeline's steps this worker runs for a partition: all, or a stretch of one resource class between others."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import pandas as pd

from engine.plugins.extractors.pipeline import RowCondition
from plugin_worker.dataset import prepared
from plugin_worker.failures import Failure
from plugin_worker.group_file import GroupFileWriter
from plugin_worker.limits import SLICE_ROWS
from plugin_worker.partition_input import Slice
from plugin_worker.partition_output import ErrorFile
from plugin_worker.plugin_loader import Plugin
from plugin_worker.steps import BuiltPipeline, Step

HANDED_ON: Final = "rows.arrow"


@dataclass(frozen=True, slots=True)
class StepGroup:
    """Steps `first` until `end` of the pipeline, over `rows`, which the group before left; None: over the partition's input."""

    first: int
    end: int
    rows: str | None

    @staticmethod
    def parse(message: Mapping[str, Any]) -> "StepGroup":
        return StepGroup(message["first"], message["end"], message.get("rows"))

    def steps(self, pipeline: BuiltPipeline) -> tuple[int, tuple[Step, ...]]:
        """Its steps, and where the first of them stands among all, of which `prepare` is one."""
        own = pipeline.steps[self.first : self.end]
        if pipeline.prepare is None:
            return self.first, own
        if self.rows is not None:
            return self.first + 1, own
        call = prepared(pipeline.prepare)
        return 0, (Step("prepare", "none", RowCondition.ALWAYS, SLICE_ROWS, None, lambda: call), *own)

    def is_last(self, pipeline: BuiltPipeline) -> bool:
        return self.end >= len(pipeline.steps)


class HandedOn:
    """The files of a group that is not the last: rows.arrow and errors.jsonl. A `with` block closes them."""

    rows_out = 0
    vector_files: Mapping[str, str] = {}

    def __init__(self, directory: str, stage: str, plugin: Plugin) -> None:
        self._stage = stage
        self._rows = GroupFileWriter(os.path.join(directory, HANDED_ON), plugin)
        self._errors = ErrorFile(directory)

    def __enter__(self) -> "HandedOn":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._rows.close()
        self._errors.__exit__()

    @property
    def rows_failed(self) -> int:
        return self._errors.rows_failed

    def write_slice(self, rows: Slice, frame: pd.DataFrame, origins: list[int], errors: dict[int, Failure]) -> None:
        self._rows.write(rows, frame, origins, self._stage, errors)
        self._errors.write(rows.row_ids, errors)
