"""What a partition's progress is, told in small events: rows, what each step did, and what processors tell themselves."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.plugins.extractors.progress import Told, listen_to_progress
from plugin_worker.limits import PROGRESS_MESSAGE, PROGRESS_SECONDS, PROGRESS_STEPS
from plugin_worker.row_matching import count_distinct
from plugin_worker.step_run import Piece

Report = Callable[[dict[str, Any]], None]


class PartitionProgress:
    """Told at most twice a second, also while earlier steps work and the number of rows stands."""

    def __init__(self, report: Report, steps: Sequence[str], first: int = 0) -> None:
        """`first`: the how manieth step of the pipeline the first of these is."""
        self._report = report
        self._last = time.monotonic()
        self._rows = 0
        self._steps = [_StepCount(first + index, name) for index, name in enumerate(steps)]
        self._told = _ToldByPlugin(report)

    def __enter__(self) -> "PartitionProgress":
        listen_to_progress(self._told.hear)
        return self

    def __exit__(self, *_: object) -> None:
        listen_to_progress(None)

    def begin(self, rows_before: int) -> None:
        """A slice begins."""
        self._rows = rows_before

    def add(self, rows: int) -> None:
        """So many more are through the last step."""
        self._rows += rows
        now = time.monotonic()
        if now - self._last >= PROGRESS_SECONDS:
            self._last = now
            self._report({"type": "progress", "rows": self._rows})
            self._tell_all()

    def of_step(self, index: int, pieces: Iterator[Piece], errors: Mapping[int, Any]) -> Iterator[Piece]:
        """The same pieces. Counted: the time that they take, rows that the step was given, rows that failed of it."""
        step = self._steps[index]
        counted = len(errors)
        while True:
            before = len(errors)
            started = time.monotonic()
            piece = next(pieces, None)
            step.seconds += time.monotonic() - started
            step.rows += len(errors) - before
            if piece is not None and piece.handled:
                step.rows += count_distinct(piece.origins)
            # What was refused of the piece before, too.
            step.failed += len(errors) - counted
            counted = len(errors)
            if piece is None:
                return
            yield piece

    def finish(self) -> None:
        """The last word, before the reply: it is what the partition's steps did."""
        self._tell_all()

    def _tell_all(self) -> None:
        for step in self._steps:
            if step.index < PROGRESS_STEPS:
                step.tell(self._report)
        self._told.tell()


class _StepCount:
    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self._name = name[:64]
        self._last: tuple[int, int, float] | None = None
        self.rows = 0
        self.failed = 0
        self.seconds = 0.0

    def tell(self, report: Report) -> None:
        """Nothing when nothing has changed."""
        counts = (self.rows, self.failed, round(self.seconds, 6))
        if counts == self._last:
            return
        self._last = counts
        rows, failed, seconds = counts
        about = {"index": self.index, "step": self._name, "rows": rows, "rows_failed": failed, "seconds": seconds}
        report({"type": "step_progress", **about})


class _ToldByPlugin:
    """Heard from any thread of the plugin, at any rate; passed on at most twice a second."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._last = 0.0
        self._message: str | None = None
        self._done: float | None = None
        self._total: float | None = None
        self._untold = False

    def hear(self, told: Told) -> None:
        with self._lock:
            self._untold = True
            if told.message is not None:
                self._message = _short(told.message)
            if told.done is not None:
                self._done = told.done
            if told.add is not None:
                self._done = (self._done or 0.0) + told.add
            if told.total is not None:
                self._total = told.total
            due = time.monotonic() - self._last >= PROGRESS_SECONDS
        if due:
            self.tell()

    def tell(self) -> None:
        with self._lock:
            if not self._untold:
                return
            self._untold = False
            self._last = time.monotonic()
            event = {"message": self._message, "done": self._done, "total": self._total}
        self._report({"type": "actor_progress", **event})


def _short(message: str) -> str:
    """An event has a limit in bytes, and a character may take twelve of them in JSON."""
    while len(json.dumps(message)) > PROGRESS_MESSAGE:
        message = message[: len(message) * 3 // 4]
    return message
