"""An API step over the rows of a slice: several calls at once, tried again when the service could not answer, and the row that
fails found by halving its batch.

A processor with `async def __call__` is one instance, called on the worker's event loop. Any other is called in threads, and no
instance by two of them at once: each has one of its own, where the step can build another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import isawaitable
from typing import Any

import pandas as pd

from plugin_worker.call_pace import CallPace
from plugin_worker.event_loop import EventLoop, is_async
from plugin_worker.failures import Failure, RequestFailed, failure_of, is_fatal
from plugin_worker.limits import API_CALLS_AHEAD, API_TRIES, API_WAIT_SECONDS, MOST_CALLS
from plugin_worker.plugin_loader import Plugin
from plugin_worker.step_input import as_the_workers_own
from plugin_worker.steps import Step
from plugin_worker.transient_errors import transient

Places = Sequence[int]
# Of batches with at most so many rows, where each begins and ends among the places.
Batches = Callable[[int], Iterator[tuple[int, int]]]
# What a call over these places returned, as it is to be had, or why it cannot be taken.
Accept = Callable[[Places, Any], Any]


def _as_it_is(_: Places, result: Any) -> Any:
    return result


class StepCalls:
    """How the steps of one pipeline are called, for the worker's life. At most `threads` call plugin code at once."""

    def __init__(self, plugin: Plugin, threads: int) -> None:
        self._plugin = plugin
        self._loop = EventLoop(threads)
        self._api: dict[int, ApiCalls] = {}
        self._most = MOST_CALLS
        self._seconds: float | None = None
        self._beat: Callable[[], None] = lambda: None

    def begin_partition(self, most: int | None, seconds: float | None, beat: Callable[[], None]) -> None:
        """`most`: calls at once that are left to this worker; None: as many as a step has. `beat`: it waits, and is well.

        `seconds`: how long a call of an API step may await something before it is a time-out; None: for ever.
        """
        self._most = most or MOST_CALLS
        self._seconds = seconds
        self._beat = beat

    def value(self, result: Any) -> Any:
        """What a step returned, awaited where it is to be. Raises what it raises."""
        return self._loop.run(result) if isawaitable(result) else result

    def outcomes(
        self, step: Step, places: Places, take: Callable[[Places], pd.DataFrame], batches: Batches, accept: Accept
    ) -> "Iterator[Outcome]":
        """Of an API step's calls over `places`, in order. Raises RequestFailed when going on is futile."""
        api = self._api.get(id(step))
        if api is None:
            api = self._api[id(step)] = ApiCalls(step, self._plugin, self._loop)
        at_once = api.prepared(min(step.calls, self._most))
        rows = min(step.batch_rows, -(-len(places) // at_once)) if step.spreads else step.batch_rows
        cut = [places[start:stop] for start, stop in batches(max(1, rows))]
        return api.outcomes(cut, take, at_once, self._beat, self._seconds, accept)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one call: what it returned for these places, or why it failed for good."""

    places: Places
    result: Any
    failure: Failure | None


class ApiCalls:
    """Of one step, for the worker's life. `beat` tells the appliance that the worker waits and is well."""

    def __init__(self, step: Step, plugin: Plugin, loop: EventLoop, pace: CallPace | None = None) -> None:
        self._step = step
        self._plugin = plugin
        self._loop = loop
        self._pace = pace or CallPace()
        self._stage = f"step {step.name}"
        # Built and not in a call.
        self._idle: list[Any] = []
        self._is_async = False
        self._seconds: float | None = None
        self._accept: Accept = _as_it_is

    def outcomes(
        self,
        batches: Sequence[Places],
        take: Callable[[Places], pd.DataFrame],
        at_once: int,
        beat: Callable[[], None],
        seconds: float | None = None,
        accept: Accept = _as_it_is,
    ) -> Iterator[Outcome]:
        """In the order of `batches`. Raises RequestFailed when going on is futile."""
        self._seconds = seconds
        self._accept = accept
        self._pace.allow(at_once)
        if self._pace.is_given_up:
            self._pace.begin_anew()
        jobs = (partial(self._isolated, places, take) for places in batches)
        ahead = max(API_CALLS_AHEAD, 2 * at_once)
        try:
            for outcomes in self._loop.in_order(jobs, ahead, lambda: beat() if self._pace.waiting else None):
                yield from outcomes
        except (SystemExit, KeyboardInterrupt) as error:
            # Of what a processor left running on the loop: whose row it was is not known here.
            raise RequestFailed(failure_of(error, self._stage, self._plugin)) from error

    def prepared(self, most: int) -> int:
        """How many calls there may be at once, by the first instance. Raises RequestFailed when there is none."""
        try:
            service = self._step.service()
        except BaseException as error:
            raise self._not_built(error) from error
        self._is_async = is_async(service)
        if self._is_async:
            return most
        if not self._idle:
            self._idle.append(service)
        return min(most, self._loop.threads) if self._step.another else 1

    async def _isolated(self, places: Places, take: Callable[[Places], pd.DataFrame]) -> list[Outcome]:
        """A batch, and where it fails, its halves, until each row that fails stands alone."""
        tries = API_TRIES
        outcomes: list[Outcome] = []
        waiting = [places]
        while waiting:
            part = waiting.pop()
            outcome = await self._tried(part, take, tries if len(part) > 1 else API_TRIES)
            # While nobody gets an answer, halves would only ask again.
            whole = len(part) == 1 or outcome.failure is None
            if whole or (outcome.failure is not None and outcome.failure.error_type == "network" and self._pace.is_out):
                outcomes.append(outcome)
                continue
            tries = 1
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
        return outcomes

    async def _tried(self, places: Places, take: Callable[[Places], pd.DataFrame], tries: int) -> Outcome:
        waited = 0.0
        tried = 0
        while True:
            tried += 1
            began = await self._pace.begin()
            try:
                result, error = await self._called(take(places))
            finally:
                self._pace.end()
            if error is None:
                self._pace.succeeded()
                accepted = self._accept(places, result)
                refused = isinstance(accepted, Failure)
                return Outcome(places, None if refused else accepted, accepted if refused else None)
            failure = failure_of(error, self._stage, self._plugin)
            if is_fatal(error, self._plugin):
                raise RequestFailed(failure) from error
            found = transient(error)
            if found is None:
                return Outcome(places, None, failure)
            wait = self._pace.failed(found, tried, began)
            network = replace(failure, error_type="network", message=f"{failure.message}\n{_story(tried, wait, waited)}")
            if self._pace.is_given_up:
                raise RequestFailed(network) from error
            if tried >= tries or waited + wait > API_WAIT_SECONDS:
                return Outcome(places, None, network)
            waited += wait
            await self._pace.pause(wait)

    async def _called(self, batch: pd.DataFrame) -> tuple[Any, BaseException | None]:
        """The one place where an exception of an API step, SystemExit and KeyboardInterrupt too, becomes a value."""
        service = self._step.service() if self._is_async else self._instance()
        try:
            if self._is_async:
                return as_the_workers_own(await self._loop.within(self._seconds, service(batch))), None
            result, error = await self._loop.in_thread(_value_of, service, batch)
            if error is None and isawaitable(result):
                result = as_the_workers_own(await self._loop.within(self._seconds, result))
            return result, error
        except BaseException as error:
            if self._loop.ending:
                raise
            return None, error
        finally:
            if not self._is_async:
                self._idle.append(service)

    def _instance(self) -> Any:
        if self._idle:
            return self._idle.pop()
        assert self._step.another is not None
        try:
            return self._step.another()
        except BaseException as error:
            raise self._not_built(error) from error

    def _not_built(self, error: BaseException) -> RequestFailed:
        return RequestFailed(failure_of(error, f"construction of {self._step.name}", self._plugin))


def _value_of(service: Callable[[Any], Any], batch: pd.DataFrame) -> tuple[Any, BaseException | None]:
    # An exception as a value: a future takes no StopIteration, and a thread's SystemExit would be nobody's.
    try:
        return as_the_workers_own(service(batch)), None
    except BaseException as error:
        return None, error


def _story(tried: int, wait: float, waited: float) -> str:
    times = "once" if tried == 1 else f"{tried} times in {waited:.0f} s"
    if waited + wait > API_WAIT_SECONDS:
        return f"Tried {times}; the next try would have been in {wait:.0f} s, and {API_WAIT_SECONDS:.0f} s is the most that is waited."
    return f"Tried {times}."
