"""A partition: rows from its JSON-lines file through the plugin's steps to result files, a slice at a time.

Every input row ends as at least one output row or as one line of errors.jsonl. Steps chain in memory; the last step's
results leave with each of its calls: vectors as float32, other columns as JSON. What every further row would fail of (a
missing module, no memory, a processor that cannot be built) fails the partition instead.
"""

import gc
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pandas as pd

from engine.plugins.extractors.pipeline import RowCondition
from plugin_worker.api_calls import StepCalls
from plugin_worker.call_mark import CallMark
from plugin_worker.call_sizes import CallSizes
from plugin_worker.dataset import prepared
from plugin_worker.failures import Failure
from plugin_worker.features import Feature
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
from plugin_worker.partition_input import FrameBuilder, Slice, read_slices
from plugin_worker.partition_output import OutputBlock, PartitionFiles
from plugin_worker.partition_progress import PartitionProgress, Report
from plugin_worker.plugin_loader import Plugin
from plugin_worker.step_run import Piece, SliceRows, StepRun, join
from plugin_worker.steps import BuiltPipeline, Step
from shared.plugins.assets import use_asset_roots

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
    steps = _with_prepare(pipeline)
    inputs = _schema_fields(manifest.input_schema)
    builder = FrameBuilder(inputs)
    outputs = OutputRows(request.features, inputs, _schema_fields(manifest.output_schema))
    rows_in = 0
    sizes.begin_partition(request.batch_rows)
    slice_rows = _slice_rows(request.features, len(pipeline.steps), request.batch_rows)
    with (
        PartitionProgress(report_progress, [step.name for step in steps]) as progress,
        PartitionFiles(request.output, request.features) as files,
        closing(CallMark(request.output)) as mark,
    ):
        calls.begin_partition(request.concurrency, request.call_seconds, lambda: progress.add(0))
        for rows in read_slices(request.input, slice_rows, request.plan):
            progress.begin(rows_in)
            errors: dict[int, Failure] = {}
            blocks = _run_slice(rows, builder, steps, outputs, plugin, calls, sizes, mark, errors, progress)
            mark.clear()
            files.write_slice(rows.row_ids, blocks, errors)
            rows_in += len(rows.row_ids)
        progress.finish()
    return {
        "rows_in": rows_in,
        "rows_failed": files.rows_failed,
        "rows_out": files.rows_out,
        "vectors": files.vector_files,
        "batch_rows": sizes.learned,
    }


def _run_slice(
    rows: Slice,
    builder: FrameBuilder,
    steps: Sequence[Step],
    outputs: OutputRows,
    plugin: Plugin,
    calls: StepCalls,
    sizes: CallSizes,
    mark: CallMark,
    errors: dict[int, Failure],
    progress: PartitionProgress,
) -> list[OutputBlock]:
    frame = builder.frame(rows)
    origins = list(range(len(rows.row_ids)))
    outputs.begin(rows, frame, errors)
    known = SliceRows(rows.row_ids, rows.column("document_id"), rows.column("mime_type"), rows.line_bytes)
    run = StepRun(plugin, calls, sizes, mark, known, errors)
    for index, step in enumerate(steps[:-1]):
        pieces: list[Piece] = []
        for piece in progress.of_step(index, run.pieces(step, frame, origins), errors):
            progress.add(0)
            if piece.origins:
                pieces.append(piece)
        if not pieces:
            return []
        frame, origins = join(pieces)
        if errors:
            kept = [place for place, origin in enumerate(origins) if origin not in errors]
            frame, origins = frame.iloc[kept].reset_index(drop=True), [origins[place] for place in kept]
    if not steps:
        return [outputs.block(frame, origins, handled=False)]
    blocks: list[OutputBlock] = []
    for piece in progress.of_step(len(steps) - 1, run.pieces(steps[-1], frame, origins), errors):
        blocks.append(outputs.block(piece.frame, piece.origins, piece.handled))
        progress.add(len(set(piece.origins)))
    return blocks


def _with_prepare(pipeline: BuiltPipeline) -> tuple[Step, ...]:
    if pipeline.prepare is None:
        return pipeline.steps
    call = prepared(pipeline.prepare)
    first = Step("prepare", "none", RowCondition.ALWAYS, SLICE_ROWS, None, lambda: call)
    return (first, *pipeline.steps)


def _slice_rows(features: Sequence[Feature], steps: int, batch_rows: int | None) -> int:
    """How many rows fit in memory at once, by the vectors they may carry, and by what has sufficed for a call."""
    most, cell = (SLICE_ROWS, VECTOR_CELL) if steps <= 1 else (CHAINED_SLICE_ROWS, LIST_CELL)
    row_vectors = sum(feature.embedding_dim for feature in features) * cell
    fitting = max(SLICE_ROWS_AT_LEAST, min(most, SLICE_VECTORS // max(1, row_vectors)))
    return fitting if batch_rows is None else min(fitting, batch_rows * CALLS_PER_SHORT_SLICE)


def _schema_fields(schema: dict[str, Any] | None) -> tuple[str, ...]:
    properties = (schema or {}).get("properties")
    return tuple(properties) if isinstance(properties, dict) else ()
