"""A partition: rows from its JSON-lines file through the plugin's steps to result files, a slice at a time.

Every input row ends as at least one output row or as one line of errors.jsonl. Steps chain in memory; the last step's
results leave with each of its calls: vectors as float32, other columns as JSON. Where this worker runs one of several step
groups, the rows come from the group before and go to the next one as `group_file.py` says. What every further row would fail of
(a missing module, no memory, a processor that cannot be built) fails the partition instead.
"""

import gc
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

import pandas as pd

from plugin_worker.allocator import keep_freed_memory
from plugin_worker.api_calls import StepCalls
from plugin_worker.call_mark import CallMark
from plugin_worker.call_sizes import CallSizes
from plugin_worker.failures import Failure
from plugin_worker.features import Feature
from plugin_worker.group_file import GroupFileReader
from plugin_worker.limits import (
    CALLS_PER_SHORT_SLICE,
    CHAINED_SLICE_ROWS,
    LIST_CELL,
    SLICE_ROWS,
    SLICE_ROWS_AT_LEAST,
    SLICE_VECTORS,
    VECTOR_CELL,
)
from plugin_worker.manifest import Manifest
from plugin_worker.object_rows import InputPlan
from plugin_worker.output_rows import OutputRows
from plugin_worker.partition_input import FrameBuilder, read_slices
from plugin_worker.partition_output import OutputBlock, PartitionFiles
from plugin_worker.partition_progress import PartitionProgress, Report
from plugin_worker.plugin_loader import Plugin
from plugin_worker.row_matching import count_distinct
from plugin_worker.step_group import HandedOn, StepGroup
from plugin_worker.step_input import StepInput
from plugin_worker.step_run import Piece, SliceRows, StepRun, join
from plugin_worker.steps import BuiltPipeline, Step
from shared.plugins.assets import use_asset_roots

keep_freed_memory()
# What has been imported stays for good: the collector need not walk it again while rows make it run (8 % of the time).
gc.freeze()


@dataclass(frozen=True, slots=True)
class PartitionRequest:
    """The frame `run_partition`. `output` is an empty directory; both paths are absolute."""

    partition: str
    attempt: int
    input: str
    output: str
    features: tuple[Feature, ...]
    asset_roots: dict[str, str]
    # Calls at once of an API step; None: as many as it has.
    concurrency: int | None
    # That a call of one may await something; None: for ever.
    call_seconds: float | None
    # Rows a step is given at once, at most; None: as many as it takes.
    batch_rows: int | None
    plan: InputPlan | None
    # The steps to run; None: all.
    group: StepGroup | None

    @staticmethod
    def parse(message: dict[str, Any]) -> "PartitionRequest":
        return PartitionRequest(
            partition=message["partition"],
            attempt=message["attempt"],
            input=message["input"],
            output=message["output"],
            features=tuple(Feature(item["feature_name"], item["embedding_dim"]) for item in message["features"]),
            asset_roots=dict(message.get("asset_roots") or {}),
            concurrency=message.get("concurrency"),
            call_seconds=message.get("call_seconds"),
            batch_rows=message.get("batch_rows"),
            plan=None if message.get("plan") is None else InputPlan.parse(message["plan"]),
            group=None if message.get("group") is None else StepGroup.parse(message["group"]),
        )


def run_partition(
    request: PartitionRequest,
    pipeline: BuiltPipeline,
    manifest: Manifest,
    plugin: Plugin,
    calls: StepCalls,
    sizes: CallSizes,
    report_progress: Report,
) -> dict[str, Any]:
    """Counts and files for the reply. Raises RequestFailed when the partition as a whole cannot go on."""
    if int(pd.__version__.split(".")[0]) < 3:
        # As pandas 3 behaves: a step may write to its batch, and that reaches no other batch and warns of nothing.
        pd.options.mode.copy_on_write = True
    use_asset_roots(request.asset_roots)
    group = request.group or StepGroup(0, len(pipeline.steps), None)
    first, steps = group.steps(pipeline)
    last = group.is_last(pipeline)
    inputs = _schema_fields(manifest.input_schema)
    builder = FrameBuilder(inputs)
    outputs = OutputRows(request.features, inputs, _schema_fields(manifest.output_schema), plugin)
    rows_in = 0
    sizes.begin_partition(request.batch_rows)
    slice_rows = _slice_rows(request.features, len(pipeline.steps), request.batch_rows)
    with (
        PartitionProgress(report_progress, [step.name for step in steps], first) as progress,
        PartitionFiles(request.output, request.features)
        if last
        else HandedOn(request.output, f"step {steps[-1].name}", plugin) as files,
        closing(CallMark(request.output)) as mark,
        nullcontext()
        if group.rows is None
        else closing(GroupFileReader(group.rows, f"step {steps[0].name}", plugin)) as handed,
    ):
        calls.begin_partition(request.concurrency, request.call_seconds, lambda: progress.add(0))
        for rows in read_slices(request.input, slice_rows, request.plan):
            progress.begin(rows_in if last else 0)
            errors: dict[int, Failure] = {}
            # Before the frame is made of them: what earlier steps changed inside of a cell is in them then.
            earlier = None if handed is None else handed.read(rows)
            frame = builder.frame(rows)
            known = SliceRows(rows.row_ids, rows.column("document_id"), rows.column("mime_type"), rows.line_bytes)
            run = _SliceRun(StepRun(plugin, calls, sizes, mark, known, errors), steps, errors, progress)
            begin = (
                StepInput(frame, range(len(rows.row_ids)), rows.read_again)
                if earlier is None
                else StepInput(*earlier, None)
            )
            if isinstance(files, PartitionFiles):
                outputs.begin(rows, frame, errors)
                blocks = run.to_outputs(begin, outputs)
                mark.clear()
                files.write_slice(rows.row_ids, blocks, errors)
            else:
                left = run.through(steps, begin)
                mark.clear()
                files.write_slice(rows, *left, errors)
            rows_in += len(rows.row_ids)
        progress.finish()
    return {
        "rows_in": rows_in,
        "rows_failed": files.rows_failed,
        "rows_out": files.rows_out,
        "vectors": files.vector_files,
        "batch_rows": sizes.learned,
    }


@dataclass(frozen=True, slots=True)
class _SliceRun:
    """The steps of a group over one slice; rows that fail go to `errors`."""

    run: StepRun
    steps: Sequence[Step]
    errors: dict[int, Failure]
    progress: PartitionProgress

    def through(self, steps: Sequence[Step], given: StepInput) -> tuple[pd.DataFrame, Sequence[int]]:
        """The rows that came through `steps`, the first ones of the group, in the order of their origins."""
        frame, origins = given.frame, given.origins
        for index, step in enumerate(steps):
            pieces: list[Piece] = []
            made = self.run.pieces(step, given if index == 0 else StepInput(frame, origins, None), keep=True)
            for piece in self.progress.of_step(index, made, self.errors):
                self.progress.add(0)
                if piece.origins:
                    pieces.append(piece)
            if not pieces:
                return pd.DataFrame(), []
            frame, origins = join(pieces)
            if self.errors:
                kept = [place for place, origin in enumerate(origins) if origin not in self.errors]
                frame, origins = frame.iloc[kept].reset_index(drop=True), [origins[place] for place in kept]
        return frame, origins

    def to_outputs(self, given: StepInput, outputs: OutputRows) -> list[OutputBlock]:
        """Of the last group: what the last step's calls returned leaves with each of them."""
        if not self.steps:
            return outputs.blocks(given.frame, given.origins, handled=False)
        *earlier, last = self.steps
        if earlier:
            given = StepInput(*self.through(earlier, given), None)
        blocks: list[OutputBlock] = []
        if not given.origins:
            return blocks
        pieces = self.run.pieces(last, given, keep=False)
        for piece in self.progress.of_step(len(self.steps) - 1, pieces, self.errors):
            blocks += outputs.blocks(piece.frame, piece.origins, piece.handled)
            self.progress.add(count_distinct(piece.origins))
        return blocks


def _slice_rows(features: Sequence[Feature], steps: int, batch_rows: int | None) -> int:
    """How many rows fit in memory at once, by the vectors they may carry, and by what has sufficed for a call."""
    most, cell = (SLICE_ROWS, VECTOR_CELL) if steps <= 1 else (CHAINED_SLICE_ROWS, LIST_CELL)
    row_vectors = sum(feature.embedding_dim for feature in features) * cell
    fitting = max(SLICE_ROWS_AT_LEAST, min(most, SLICE_VECTORS // max(1, row_vectors)))
    return fitting if batch_rows is None else min(fitting, batch_rows * CALLS_PER_SHORT_SLICE)


def _schema_fields(schema: dict[str, Any] | None) -> tuple[str, ...]:
    properties = (schema or {}).get("properties")
    return tuple(properties) if isinstance(properties, dict) else ()
