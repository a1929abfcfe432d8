"""Calls of an API step that fail: tried again, slowed down, given up; by a clock that passes when somebody waits."""

import asyncio
import random
import unittest
from typing import Any

from support import HttpError

import pandas as pd

from engine.plugins.extractors.pipeline import RowCondition
from plugin_worker.api_calls import ApiCalls, Outcome
from plugin_worker.call_pace import CallPace
from plugin_worker.event_loop import EventLoop
from plugin_worker.failures import RequestFailed
from plugin_worker.plugin_loader import Plugin
from plugin_worker.steps import Step


class Clock:
    """Time that passes when somebody waits, and nobody waits in a test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        self.pauses.append(seconds)
        # Whoever else waits for less is woken first.
        await asyncio.sleep(0)
        self.now = max(self.now, until)


class Trying(unittest.TestCase):
    def outcomes(self, call: Any, count: int = 1, rows_per_call: int = 1, at_once: int = 1) -> list[Outcome]:
        self.clock = Clock()
        self.pace = CallPace(self.clock, self.clock.sleep, lambda least, most: most)
        self.loop = EventLoop(4)
        self.addCleanup(self.loop._started().close)
        self.calls: list[list[int]] = []

        async def service(batch: pd.DataFrame) -> pd.DataFrame:
            self.calls.append(batch["row"].tolist())
            return await call(batch["row"].tolist())

        step = Step("S", "api", RowCondition.ALWAYS, rows_per_call, None, lambda: service, at_once)
        api = ApiCalls(step, Plugin("/nowhere", "p", "plugin_p"), self.loop, self.pace)
        frame = pd.DataFrame({"row": range(count)})
        batches = [range(start, min(start + rows_per_call, count)) for start in range(0, count, rows_per_call)]
        self.beats = 0

        def beat() -> None:
            self.beats += 1

        most = api.prepared(at_once)
        return list(api.outcomes(batches, lambda places: frame.iloc[list(places)].copy(), most, beat))

    def failed(self, outcomes: list[Outcome]) -> dict[int, str]:
        return {place: one.failure.error_type for one in outcomes if one.failure is not None for place in one.places}

    def test_a_call_that_could_not_be_answered_is_tried_again_after_waits_that_double(self) -> None:
        async def call(_: list[int]) -> str:
            if len(self.calls) < 5:
                raise HttpError(503)
            return "ok"

        self.assertEqual([one.result for one in self.outcomes(call)], ["ok"])
        self.assertEqual(self.clock.pauses, [1, 2, 4, 8])

    def test_six_tries_are_the_most_and_the_row_is_told_of_them(self) -> None:
        async def call(_: list[int]) -> str:
            raise ConnectionResetError("gone")

        (outcome,) = self.outcomes(call)
        assert outcome.failure is not None
        self.assertEqual((len(self.calls), outcome.failure.error_type), (6, "network"))
        self.assertIn("gone\nTried 6 times in 31 s.", outcome.failure.message)

    def test_a_retry_after_is_waited_for_in_full_and_one_beyond_the_most_is_not(self) -> None:
        async def call(_: list[int]) -> str:
            if len(self.calls) < 3:
                raise HttpError(429, **{"Retry-After": "40"})
            return "ok"

        self.assertEqual([one.result for one in self.outcomes(call)], ["ok"])
        self.assertEqual(self.clock.pauses, [44, 44])

        async def for_ever(_: list[int]) -> str:
            raise HttpError(503, **{"Retry-After": "3600"})

        (outcome,) = self.outcomes(for_ever)
        assert outcome.failure is not None
        self.assertEqual((len(self.calls), self.clock.pauses), (1, []))
        self.assertIn("120 s is the most that is waited", outcome.failure.message)

    def test_a_failure_of_the_code_or_of_the_request_is_not_tried_again(self) -> None:
        for error in (ValueError("no"), HttpError(400), HttpError(404)):

            async def call(_: list[int]) -> str:
                raise error

            (outcome,) = self.outcomes(call)
            assert outcome.failure is not None
            self.assertEqual((len(self.calls), outcome.failure.error_type), (1, "runtime"))

    def test_the_row_that_a_service_fails_of_is_found_and_no_row_that_succeeded_is_called_again(self) -> None:
        for bad in (0, 37, 63):

            async def call(batch: list[int]) -> str:
                if bad in batch:
                    raise HttpError(500)
                return "ok"

            outcomes = self.outcomes(call, count=64, rows_per_call=64)
            self.assertEqual(self.failed(outcomes), {bad: "network"})
            self.assertEqual([place for one in outcomes for place in one.places], list(range(64)))
            succeeded = [row for batch in self.calls if bad not in batch for row in batch]
            self.assertEqual(sorted(succeeded), [row for row in range(64) if row != bad])

    def test_while_nobody_gets_an_answer_batches_fail_whole_instead_of_asking_for_each_row(self) -> None:
        async def call(_: list[int]) -> str:
            raise ConnectionRefusedError("down")

        outcomes = self.outcomes(call, count=64 * 8, rows_per_call=64, at_once=8)
        self.assertEqual(self.failed(outcomes), dict.fromkeys(range(64 * 8), "network"))
        self.assertLess(len(self.calls), 8 * 6 + 8 * 3)

    def test_a_service_that_is_not_there_for_ten_minutes_is_given_up(self) -> None:
        async def call(_: list[int]) -> str:
            raise ConnectionRefusedError("down")

        with self.assertRaises(RequestFailed) as raised:
            self.outcomes(call, count=1000)
        self.assertEqual(raised.exception.failure.error_type, "network")
        self.assertTrue(600 <= self.clock.now < 700, self.clock.now)
        self.assertLess(len(self.calls), 100, "once it is clear, it is asked now and then")

    def test_rows_outlive_an_outage_of_some_minutes(self) -> None:
        async def call(_: list[int]) -> str:
            if self.clock.now < 240:
                raise ConnectionRefusedError("restarts")
            return "ok"

        outcomes = self.outcomes(call, count=400, at_once=8)
        self.assertLess(len(self.failed(outcomes)), 10)

    def test_while_one_call_waits_others_go_on_and_the_appliance_hears_of_it(self) -> None:
        gate: list[int] = []

        async def call(batch: list[int]) -> str:
            if batch == [0] and len(gate) < 9:
                raise HttpError(503)
            gate.extend(batch)
            return "ok"

        async def slow(seconds: float) -> None:
            # Of a wait nobody knows the end but those who work meanwhile.
            for _ in range(1_000_000):
                if len(gate) == 9 and self.beats > 0:
                    return
                await asyncio.sleep(0)

        outcomes_of = self.outcomes
        clock_sleep = Clock.sleep
        Clock.sleep = lambda _, seconds: slow(seconds)  # type: ignore[method-assign, assignment]
        try:
            outcomes = outcomes_of(call, count=10, at_once=1)
        finally:
            Clock.sleep = clock_sleep  # type: ignore[method-assign]
        self.assertEqual([one.places[0] for one in outcomes], list(range(10)), "in their order all the same")
        self.assertEqual(gate, [*range(1, 10), 0])
        self.assertGreater(self.beats, 0)

    def test_a_429_slows_the_whole_step_and_it_comes_back_step_by_step(self) -> None:
        inside: list[int] = []
        most_by_call: list[int] = []

        async def call(batch: list[int]) -> str:
            inside.append(batch[0])
            most_by_call.append(len(inside))
            began = self.clock.now
            for _ in range(3):
                await asyncio.sleep(0)
            inside.remove(batch[0])
            if began < 10:
                raise HttpError(429, **{"Retry-After": "10"})
            return "ok"

        outcomes = self.outcomes(call, count=60, at_once=8)
        self.assertEqual(self.failed(outcomes), {})
        self.assertEqual(max(most_by_call[:8]), 8)
        self.assertEqual(len(self.calls), 60 + 8, "nobody called between the first 429 and the time it named")
        after = most_by_call[8:]
        self.assertEqual(max(after[:4]), 4, "half as many")
        self.assertEqual(max(after), 8, "and one more after each round that went well")


    def test_whatever_fails_and_in_whatever_order_calls_end_each_row_has_one_outcome_in_its_place(self) -> None:
        for seed in range(40):
            chance = random.Random(seed)
            count, rows_per_call, at_once = chance.randint(1, 300), chance.choice((1, 3, 16, 64)), chance.choice((1, 2, 8, 40))
            poison = set(chance.sample(range(count), count // 20))
            succeeded: list[int] = []

            async def call(batch: list[int]) -> list[int]:
                for _ in range(chance.randint(0, 5)):
                    await asyncio.sleep(0)
                if chance.random() < 0.05:
                    raise chance.choice((HttpError(503), HttpError(429, **{"Retry-After": "2"}), ConnectionResetError()))
                if poison.intersection(batch):
                    raise ValueError
                succeeded.extend(batch)
                return batch

            with self.subTest(seed):
                outcomes = self.outcomes(call, count, rows_per_call, at_once)
                self.assertEqual([place for one in outcomes for place in one.places], list(range(count)))
                self.assertEqual(self.failed(outcomes), dict.fromkeys(poison, "runtime"))
                self.assertEqual(sorted(succeeded), [row for row in range(count) if row not in poison])
                for one in outcomes:
                    self.assertIn(one.result, (None, list(one.places)))


if __name__ == "__main__":
    unittest.main()
