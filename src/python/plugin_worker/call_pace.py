"""How fast the calls of one API step may go, in this worker: how many at once, when the next may begin, how long to wait after a
failure.

A service that says it is asked too often slows the whole step, and so does one that answers nobody: no call begins before the
wait is over, then half as many at once, and one more for each round that went well. Everything runs on the worker's one event loop; clock, sleep and chance are handed in.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from plugin_worker.limits import API_WAIT_SECONDS, OUTAGE_FAILURES, OUTAGE_SECONDS, RETRY_BASE_SECONDS, RETRY_CAP_SECONDS
from plugin_worker.transient_errors import Transient

# Over what a service asks for, so that workers that were told the same do not come back together: a share, and a least.
_SPREAD: Final = 0.1
_SPREAD_SECONDS: Final = 0.1


class CallPace:
    """`waiting`: calls that wait because a service failed, and for nothing else."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.waiting = 0
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._most = 1
        self._allowed = 1
        self._under_way = 0
        self._went_well = 0
        self._changed = asyncio.Event()
        self._not_before = clock()
        self._slowed_at = -math.inf
        self._failures = 0
        self._failing_since = clock()

    def allow(self, most: int) -> None:
        """At most so many calls at once from now on. A step that was slowed down stays so."""
        self._allowed = most if self._allowed >= self._most else min(self._allowed, most)
        self._most = most

    async def begin(self) -> float:
        """Waits for its turn. The time at which the call began; `end` must follow."""
        while True:
            wait = self._not_before - self._clock()
            if wait > 0:
                await self.pause(wait)
            elif self._under_way < self._allowed:
                self._under_way += 1
                return self._clock()
            else:
                self._changed.clear()
                await self._changed.wait()

    def end(self) -> None:
        self._under_way -= 1
        self._changed.set()

    async def pause(self, seconds: float) -> None:
        self.waiting += 1
        try:
            await self._sleep(seconds)
        finally:
            self.waiting -= 1

    def succeeded(self) -> None:
        self._failures = 0
        self._went_well += 1
        if self._went_well >= self._allowed and self._allowed < self._most:
            self._went_well = 0
            self._allowed += 1
            self._changed.set()

    def failed(self, failure: Transient, tries: int, began: float) -> float:
        """Seconds that the call, which began then and was tried so often, waits before it is tried again."""
        now = self._clock()
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
        wait = self._uniform(0.0, min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2.0 ** (tries - 1)))
        if failure.asked is not None:
            wait = failure.asked + self._uniform(0.0, max(_SPREAD_SECONDS, _SPREAD * failure.asked))
        # Of a service that is not there, rows are kept from using up their tries.
        if failure.everyone or self.is_out:
            # Who asks for more than any call waits is asked again now and then: each batch has one try.
            self._not_before = max(self._not_before, now + (wait if wait <= API_WAIT_SECONDS else RETRY_CAP_SECONDS))
            # Once for all calls that were under way together.
            if began > self._slowed_at:
                self._slowed_at = now
                self._went_well = 0
                self._allowed = max(1, self._allowed // 2)
        return wait

    def begin_anew(self) -> None:
        """Somebody says that the service is back: what failed before is no sign."""
        self._failures = 0
        self._not_before = self._clock()

    @property
    def is_out(self) -> bool:
        """So many calls failed and none went well that it cannot be the rows' doing."""
        return self._failures >= OUTAGE_FAILURES

    @property
    def is_given_up(self) -> bool:
        """It has been out for so long that going on only wears rows out."""
        return self.is_out and self._clock() - self._failing_since >= OUTAGE_SECONDS
