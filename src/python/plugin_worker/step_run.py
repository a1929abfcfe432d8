"""One step over the rows of a slice: condition, batches, and the row that fails found by halving its batch."""

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from engine.plugins.extractors.pipeline import RowCondition
from plugin_worker.api_calls import StepCalls
from plugin_worker.call_mark import CallMark
from plugin_worker.call_sizes import CallSizes
from plugin_worker.failures import Failure, RequestFailed, failure_of, is_fatal
from plugin_worker.limits import ROW_ERROR_MESSAGE
from plugin_worker.plugin_loader import Plugin
from plugin_worker.row_matching import as_array, match_rows
from plugin_worker.step_input import StepInput, as_the_workers_own, take_rows
from plugin_worker.steps import Step
from plugin_worker.tracebacks import clip


@dataclass(frozen=True, slots=True)
class SliceRows:
    """What a slice knows of its rows by origin."""

    row_ids: list[int]
    document_ids: list[Any]
    mime_types: list[Any]
    line_bytes: list[int]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a frame and the origin of each. `handled` is false for rows that the step's condition let pass."""

    frame: pd.DataFrame
    origins: Sequence[int]
    handled: bool


@dataclass(frozen=True, slots=True)
class Raised:
    """A call ended by an exception. `failure` is told where it is a row's own; `memory`: there was too little of it."""

    failure: Failure | None
    memory: bool


class StepRun:
    """Runs steps on slices; keeps the first failure of each origin in `errors`."""

    def __init__(
        self,
        plugin: Plugin,
        calls: StepCalls,
        sizes: CallSizes,
        mark: CallMark,
        rows: SliceRows,
        errors: dict[int, Failure],
    ) -> None:
        self._plugin = plugin
        self._calls = calls
        self._sizes = sizes
        self._mark = mark
        # Rows of the call at hand that were left as errors by an exception.
        self._raised = 0
        self._rows = rows
        self._errors = errors
        # Results wait while their step goes on.
        self._keep = False
        self._ids: frozenset[Any] | None = None

    def pieces(self, step: Step, given: StepInput, keep: bool) -> Iterator[Piece]:
        """The step's results in order of its calls, then the rows that passed by.

        `keep`: pieces are kept while the step goes on. Raises RequestFailed when going on is futile.
        A row for which nothing comes back is an error; so is one whose failure was found.
        """
        stage = f"step {step.name}"
        origins = given.origins
        matching, passing = self._split(step, origins)
        seen: set[int] = set()
        self._mark.clear()
        self._keep = keep
        of_calls = self._api_calls if step.resource_type == "api" else self._calls_in_turn
        for piece in of_calls(step, stage, given, matching):
            seen.update(piece.origins)
            yield piece
        for place in matching if len(seen) < len(matching) else ():
            origin = origins[place]
            if origin not in seen and origin not in self._errors:
                self._fail(origin, "RowMissing", f"{step.name} returned nothing for this row.", stage)
        if passing:
            yield Piece(take_rows(given.frame, passing), _at(origins, passing), handled=False)

    def _split(self, step: Step, origins: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        if step.condition is RowCondition.ALWAYS:
            return range(len(origins)), ()
        verdict: dict[Any, bool] = {}
        matches: list[bool] = []
        for origin in origins:
            mime_type = self._rows.mime_types[origin]
            if mime_type not in verdict:
                verdict[mime_type] = step.condition.matches(mime_type)
            matches.append(verdict[mime_type])
        if all(matches):
            return range(len(origins)), ()
        places = np.array(matches, dtype=bool)
        return np.flatnonzero(places).tolist(), np.flatnonzero(~places).tolist()

    def _calls_in_turn(self, step: Step, stage: str, given: StepInput, matching: Sequence[int]) -> Iterator[Piece]:
        for start, stop in self._batches(
            step, given.origins, matching, lambda: self._sizes.rows(step.name, step.batch_rows)
        ):
            self._raised = 0
            yield from self._call(step, stage, given, matching[start:stop])
            self._sizes.count(step.name, stop - start, self._raised)

    def _api_calls(self, step: Step, stage: str, given: StepInput, matching: Sequence[int]) -> Iterator[Piece]:
        if not matching:
            return
        origins = given.origins
        outcomes = self._calls.outcomes(
            step,
            matching,
            # Copied: batches that are views of one frame are told apart by what is no business of several threads.
            lambda places: given.take(places).copy(),
            lambda rows: self._batches(step, origins, matching, lambda: self._sizes.at_most(rows)),
            lambda places, result: self._matched(step, stage, result, _at(origins, places)),
        )
        for outcome in outcomes:
            if isinstance(outcome.result, Piece):
                yield outcome.result
            elif outcome.failure is not None:
                for origin in _at(origins, outcome.places):
                    self._errors.setdefault(origin, outcome.failure)

    def _batches(
        self, step: Step, origins: Sequence[int], places: Sequence[int], rows: Callable[[], int]
    ) -> Iterator[tuple[int, int]]:
        """`rows` is asked before each."""
        through = None if step.batch_input is None else self._bytes_through(_at(origins, places))
        start = 0
        while start < len(places):
            stop = min(start + rows(), len(places))
            if through is not None and step.batch_input is not None:
                fitting = int(np.searchsorted(through, through[start] + step.batch_input, side="right")) - 1
                stop = max(start + 1, min(stop, fitting))
            yield start, stop
            start = stop

    def _bytes_through(self, origins: Sequence[int]) -> np.ndarray:
        """Bytes of the rows before each place, and of all."""
        sizes = np.array(self._rows.line_bytes, dtype=np.int64)[as_array(origins)]
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])

    def _call(
        self, step: Step, stage: str, given: StepInput, places: Sequence[int], known_to_fail: bool = False
    ) -> Generator[Piece, None, bool]:
        """Returns whether a row of it was left as an error, by an exception or by a result that cannot be taken.

        A half of a failed call whose other half went well holds the row that fails: it is not called whole once more.
        """
        try:
            service = step.service()
        except BaseException as error:
            raise RequestFailed(failure_of(error, f"construction of {step.name}", self._plugin)) from error
        batch_origins = _at(given.origins, places)
        memory = False
        if not known_to_fail or len(places) == 1:
            began = perf_counter()
            result = self._result(service, given.take(places), batch_origins, stage)
            took = perf_counter() - began
            if not isinstance(result, Raised):
                result = self._matched(step, stage, result, batch_origins)
            if isinstance(result, Piece):
                self._sizes.went_well(step.name, len(places), took)
                yield result
                return False
            if len(places) == 1:
                failure = result if isinstance(result, Failure) else result.failure
                if failure is not None:
                    self._errors.setdefault(batch_origins[0], failure)
                self._raised += 1
                return True
            memory = isinstance(result, Raised) and result.memory
        middle = len(places) // 2
        failed = yield from self._call(step, stage, given, places[:middle])
        # Too large a call has no row that is to blame.
        known = not failed and not memory
        failed |= yield from self._call(step, stage, given, places[middle:], known)
        if memory and not failed:
            self._sizes.memory_sufficed(len(places) - middle)
        return failed

    def _matched(self, step: Step, stage: str, result: Any, batch_origins: Sequence[int]) -> Piece | Failure:
        """What a step returned with the origin of each row, or why it cannot be taken, its own classes' exceptions too."""
        try:
            matched = frame_problem(result) or self._origins(result, batch_origins)
        except BaseException as error:
            return failure_of(error, stage, self._plugin)
        if isinstance(matched, str):
            return _failure("InvalidResult", f"{step.name} {matched}.", stage)
        return Piece(result, matched, handled=True)

    def _origins(self, result: pd.DataFrame, batch_origins: Sequence[int]) -> Sequence[int] | str:
        return match_rows(result, batch_origins, _at(self._rows.document_ids, batch_origins), self._known_ids)

    def _result(
        self, service: Callable[[Any], Any], batch: pd.DataFrame, batch_origins: Sequence[int], stage: str
    ) -> Any:
        """What a step returned, or `Raised`: the one place where its exception, SystemExit and KeyboardInterrupt too, becomes a value."""
        row_ids = self._rows.row_ids
        self._mark.begin(row_ids[batch_origins[0]], row_ids[batch_origins[-1]], len(batch_origins))
        try:
            return as_the_workers_own(self._calls.value(service(batch)), self._keep)
        except BaseException as error:
            fatal = is_fatal(error, self._plugin)
            memory = isinstance(error, MemoryError)
            # A traceback costs more than a small call: it is made of the rows that are to have one.
            alone = len(batch_origins) == 1
            failure = failure_of(error, stage, self._plugin) if fatal or alone else None
            if fatal and failure is not None:
                raise RequestFailed(failure) from error
        if memory:
            # What the call had reached is in the frames of its traceback, which may hold one another.
            gc.collect()
        return Raised(failure, memory)

    def _known_ids(self) -> frozenset[Any]:
        if self._ids is None:
            self._ids = frozenset(document_id for document_id in self._rows.document_ids if isinstance(document_id, str))
        return self._ids

    def _fail(self, origin: int, exception: str, message: str, stage: str) -> None:
        self._errors.setdefault(origin, _failure(exception, message, stage))


def _failure(exception: str, message: str, stage: str) -> Failure:
    return Failure("runtime", exception, clip(message, ROW_ERROR_MESSAGE), "", stage)


def frame_problem(result: Any) -> str | None:
    """What is wrong with what a step returned, as the end of a sentence that begins with its name."""
    if isinstance(result, pd.DataFrame):
        if not result.columns.is_unique:
            twice = result.columns[result.columns.duplicated()]
            return f"returned a DataFrame in which a column occurs twice: {_names(twice)}"
        odd = [name for name in result.columns if not isinstance(name, str)]
        return f"returned a DataFrame whose column names are not all strings: {_names(odd)}" if odd else None
    if result is None:
        return "returned None; it must return the DataFrame"
    kind = type(result)
    # Of another library's DataFrame the name alone would say nothing.
    named = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"returned a {named}; it must return a pandas DataFrame"


def join(pieces: Sequence[Piece]) -> tuple[pd.DataFrame, Sequence[int]]:
    """One frame in the order of origins. Columns that only some pieces have are None in the others."""
    if len(pieces) == 1 and isinstance(pieces[0].origins, range):
        return pieces[0].frame, pieces[0].origins
    origins = np.concatenate([as_array(piece.origins) for piece in pieces])
    frames = [piece.frame for piece in pieces]
    joined = frames[0] if len(frames) == 1 else _stacked(frames, len(origins))
    if len(origins) and (origins[1:] < origins[:-1]).any():
        order = np.argsort(origins, kind="stable")
        return take_rows(joined, order), origins[order].tolist()
    return joined, origins.tolist()


def _stacked(frames: Sequence[pd.DataFrame], rows: int) -> pd.DataFrame:
    names: dict[str, None] = {}
    for frame in frames:
        names.update(dict.fromkeys(frame.columns))
    stacked = pd.DataFrame({name: _joined_column(frames, name) for name in names}, index=pd.RangeIndex(rows))
    stacked.columns = pd.Index(list(names), dtype=object)
    return stacked


def _joined_column(frames: Sequence[pd.DataFrame], name: str) -> pd.Series:
    columns = [frame[name] if name in frame.columns else None for frame in frames]
    kinds = {str(column.dtype) if column is not None else "" for column in columns}
    if len(kinds) == 1:
        return pd.concat([column for column in columns if column is not None], ignore_index=True)
    cells: list[Any] = []
    for column, frame in zip(columns, frames):
        cells.extend([None] * len(frame) if column is None else column.tolist())
    # Objects, so that whole numbers of one piece do not turn into floats beside the None of another.
    return pd.Series(cells, dtype=object)


def _at(values: Sequence[Any], places: Sequence[int]) -> Sequence[Any]:
    return values[places.start : places.stop] if isinstance(places, range) else [values[place] for place in places]


def _names(names: Any) -> str:
    return ", ".join(repr(name) for name in list(names)[:5])
