"""How many rows a step is given at once: as many as it takes, fewer while its rows fail often or memory is short.

A call that fails is taken apart and its other rows run again, so its size is what a failed row costs; a smaller one pays more
often for being called at all. The size between is reckoned from what calls took. Results do not depend on it.
"""

import math
from dataclasses import dataclass

from plugin_worker.limits import FAILURE_WINDOW_ROWS, LEAST_ROW_SECONDS, USUAL_CALL_SECONDS


@dataclass(slots=True)
class _Seen:
    """Of one step lately: rows and those that failed, and sums over the calls that went well."""

    rows: float = 0.0
    failed: float = 0.0
    calls: float = 0.0
    call_rows: float = 0.0
    call_rows_squared: float = 0.0
    seconds: float = 0.0
    rows_seconds: float = 0.0

    def halve(self) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) / 2)

    def costs(self) -> tuple[float, float]:
        """Seconds of a call without rows, and of a row: the line through what calls of different sizes took."""
        spread = self.calls * self.call_rows_squared - self.call_rows**2
        if spread > 0.01 * self.call_rows**2:
            row = (self.calls * self.rows_seconds - self.call_rows * self.seconds) / spread
        else:
            row = (self.seconds - self.calls * USUAL_CALL_SECONDS) / self.call_rows
        row = max(row, LEAST_ROW_SECONDS)
        return max((self.seconds - row * self.call_rows) / self.calls, USUAL_CALL_SECONDS / 4), row


class CallSizes:
    """Of one worker's steps, by name. `learned` is what sufficed in this partition after more rows ran out of memory."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._most: int | None = None
        self.learned: int | None = None

    def begin_partition(self, most: int | None) -> None:
        """`most` rows a call, whatever the steps take; None: no such bound."""
        self._most = most
        self.learned = None

    def rows(self, step: str, batch_rows: int) -> int:
        """For the next call of a step that takes `batch_rows`."""
        most = self.at_most(batch_rows)
        seen = self._seen.get(step)
        if seen is None or seen.failed < 0.5:
            return most
        if seen.calls == 0:
            return 1
        rate = seen.failed / seen.rows
        call, row = seen.costs()
        # Least of call / n + rate * (1.5 * n * row + log2(n) * call): half of a failed call was for nothing, the rest runs again.
        slope, level = 1.5 * rate * row, rate * call / math.log(2)
        best = (math.sqrt(level**2 + 4 * slope * call) - level) / (2 * slope)
        return max(1, min(most, round(best), int(0.5 / rate)))

    def at_most(self, rows: int) -> int:
        """By what memory suffices for alone."""
        return rows if self._most is None else min(rows, self._most)

    def went_well(self, step: str, rows: int, seconds: float) -> None:
        seen = self._seen.setdefault(step, _Seen())
        seen.calls += 1
        seen.call_rows += rows
        seen.call_rows_squared += rows**2
        seen.seconds += seconds
        seen.rows_seconds += rows * seconds

    def count(self, step: str, rows: int, failed: int) -> None:
        """After a call and what became of its rows."""
        seen = self._seen.setdefault(step, _Seen())
        seen.rows += rows
        seen.failed += failed
        if seen.rows > FAILURE_WINDOW_ROWS:
            seen.halve()

    def memory_sufficed(self, rows: int) -> None:
        """A call that ran out of memory went well in calls of so many rows: later ones begin with that."""
        self._most = rows if self._most is None else min(self._most, rows)
        self.learned = self._most
