"""Steps of resource type API: calls that overlap, in threads and on an event loop, tried again, slowed down, and exact."""

import asyncio
import email.message
import random
import threading
import unittest
import urllib.error
from email.utils import format_datetime
from datetime import datetime, timedelta, timezone
from typing import Any

from support import MANIFEST, WorkerProcess, plugin_of

import pandas as pd

from engine.plugins.extractors.pipeline import (
    PipelineDefinition,
    ResourceType,
    RowCondition,
    StepDefinition,
    build_pipeline_steps,
)
from plugin_worker.api_calls import ApiCalls, Outcome
from plugin_worker.call_pace import CallPace
from plugin_worker.event_loop import EventLoop
from plugin_worker.failures import RequestFailed
from plugin_worker.plugin_loader import Plugin
from plugin_worker.steps import Step
from plugin_worker.transient_errors import Transient, transient

HEAD = "from engine.plugins.extractors.pipeline import *\nimport asyncio, threading, time\n"


def rows(count: int) -> list[dict[str, Any]]:
    return [{"data": str(index)} for index in range(count)]


def api_plugin(body: str, step: str = "StepDefinition(P, ResourceType.API)", profile: str = "") -> dict[str, str]:
    return plugin_of(f"{HEAD}{body}\nsteps = [{step}]\n", MANIFEST + profile)


class Overlapping(unittest.TestCase):
    def test_eight_calls_of_a_sync_processor_are_under_way_at_once_each_on_an_instance_of_its_own(self) -> None:
        body = """
together = threading.Barrier(8)
class P:
    def __call__(self, batch):
        self.batch = batch
        together.wait(30)
        batch["n"] = [self.batch is batch] * len(batch)
        return batch
"""
        with WorkerProcess(api_plugin(body, profile="compute_profile = {'batch_size': 2}\n")) as worker:
            worker.build()
            result = worker.run(rows(32))
        self.assertEqual(result.fields, [{"n": True}] * 32)

    def test_calls_of_an_async_processor_overlap_on_one_instance_and_rows_keep_their_places(self) -> None:
        body = """
class P:
    def __init__(self, config=None):
        self.inside = self.most = 0
    async def __call__(self, batch):
        self.inside += 1
        self.most = max(self.most, self.inside)
        # The later a batch comes, the sooner it is done.
        await asyncio.sleep(0.2 - int(batch["data"][0]) / 200)
        self.inside -= 1
        batch["own"] = batch["data"]
        batch["most"] = self.most
        return batch
"""
        profile = "compute_profile = {'batch_size': 1, 'max_concurrency': 20}\n"
        with WorkerProcess(api_plugin(body, profile=profile)) as worker:
            worker.build()
            result = worker.run(rows(40))
            again = worker.run(rows(3))
        self.assertEqual([fields["own"] for fields in result.fields], [str(index) for index in range(40)])
        self.assertEqual(max(fields["most"] for fields in result.fields), 20)
        self.assertEqual(len(again.fields), 3, "the same loop serves the next partition")

    def test_fewer_calls_where_the_appliance_leaves_fewer_to_this_worker(self) -> None:
        body = """
inside = most = 0
class P:
    async def __call__(self, batch):
        global inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        inside -= 1
        batch["most"] = most
        return batch
"""
        profile = "compute_profile = {'batch_size': 1, 'max_concurrency': 9}\n"
        with WorkerProcess(api_plugin(body, profile=profile)) as worker:
            worker.build()
            result = worker.run(rows(12), concurrency=3)
        self.assertEqual(max(fields["most"] for fields in result.fields), 3)

    def test_a_few_rows_are_spread_over_the_calls_unless_the_plugin_says_how_many_it_takes(self) -> None:
        body = "class P:\n    def __call__(self, batch):\n        batch['n'] = len(batch)\n        return batch\n"
        for profile, expected in (("", 2), ("compute_profile = {'batch_size': 16}\n", 16)):
            with self.subTest(profile), WorkerProcess(api_plugin(body, profile=profile)) as worker:
                worker.build()
                self.assertEqual(worker.run(rows(16)).fields, [{"n": expected}] * 16)

    def test_an_instance_that_the_plugin_built_is_never_in_two_calls(self) -> None:
        body = """
class P:
    inside = 0
    def __call__(self, batch):
        self.inside += 1
        time.sleep(0.005)
        batch["n"] = self.inside
        self.inside -= 1
        return batch
"""
        profile = "compute_profile = {'resource_type': 'api', 'batch_size': 1}\n"
        with WorkerProcess(api_plugin(body, "P()", profile)) as worker:
            self.assertEqual([step["resource_type"] for step in worker.build()["steps"]], ["api"])
            self.assertEqual(worker.run(rows(10)).fields, [{"n": 1}] * 10)

    def test_async_processors_of_other_types_are_awaited_one_at_a_time(self) -> None:
        body = """
class P:
    def __init__(self, config=None):
        self.inside = 0
    async def __call__(self, batch):
        self.inside += 1
        await asyncio.sleep(0)
        if "5" in batch["data"].tolist():
            self.inside -= 1
            raise ValueError("five")
        batch["inside"] = self.inside
        self.inside -= 1
        return batch
"""
        for kind in ("CPU", "GPU"):
            with self.subTest(kind), WorkerProcess(api_plugin(body, f"StepDefinition(P, ResourceType.{kind})")) as worker:
                worker.build()
                result = worker.run(rows(20))
                self.assertEqual((result.fields, list(result.errors)), ([{"inside": 1}] * 19, [5]))

    def test_whatever_a_call_raises_fails_its_rows_alone(self) -> None:
        raised = ("raise SystemExit(3)", "raise StopIteration", "raise KeyboardInterrupt", "raise asyncio.CancelledError", "exit()")
        for how in ("", "async "):
            for line in raised:
                body = f"class P:\n    {how}def __call__(self, batch):\n        if '3' in list(batch['data']): {line}\n        batch['n'] = 1\n        return batch\n"
                with self.subTest(how + line), WorkerProcess(api_plugin(body)) as worker:
                    worker.build()
                    result = worker.run(rows(40))
                    self.assertEqual((list(result.errors), len(result.fields)), ([3], 39))

    def test_helpers_that_run_an_event_loop_work_in_the_threads_and_inside_the_loop(self) -> None:
        body = """
from shared.plugins.sdk import concurrent_api_calls, parallel_io
async def shout(text):
    await asyncio.sleep(0)
    if text == "7":
        raise ValueError(text)
    return text.upper() + "!"
def odd(text):
    if text == "7":
        raise ValueError(text)
    return text
def call(batch):
    batch["a"] = concurrent_api_calls(batch["data"].tolist(), shout, max_concurrent=3)
    found = parallel_io(batch["data"].tolist(), odd, max_workers=3)
    batch["b"] = [found.get(index) for index in range(len(batch))]
    return batch
class P:
    def __call__(self, batch):
        loop = asyncio.get_event_loop()
        batch["c"] = [loop.run_until_complete(shout("c"))] * len(batch)
        return call(batch)
class A:
    async def __call__(self, batch):
        return call(batch)
"""
        for step in ("StepDefinition(P, ResourceType.API)", "StepDefinition(A, ResourceType.API)"):
            with self.subTest(step), WorkerProcess(api_plugin(body, step)) as worker:
                worker.build()
                fields = worker.run(rows(10)).fields
                self.assertEqual([row["a"] for row in fields], [None if n == 7 else f"{n}!" for n in range(10)])
                self.assertEqual([row["b"] for row in fields], [None if n == 7 else str(n) for n in range(10)])

    def test_a_step_that_an_author_calls_in_a_test_awaits_its_processor(self) -> None:
        class Processor:
            async def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
                await asyncio.sleep(0)
                return batch.assign(n=len(batch))

        audio = StepDefinition(Processor, ResourceType.API, None, RowCondition.IS_AUDIO)
        steps = build_pipeline_steps(PipelineDefinition("p", "1", [StepDefinition(Processor), audio]))
        batch = pd.DataFrame({"mime_type": ["audio/wav", "text/plain"]})
        self.assertEqual([step(batch)["n"].tolist() for step in steps], [[2, 2], [1, None]])

    def test_the_helpers_keep_the_places_of_items_and_leave_out_those_that_failed(self) -> None:
        from shared.plugins.sdk import concurrent_api_calls, parallel_io

        inside = most = 0

        async def call(item: int) -> int:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01 if item % 2 else 0)
            inside -= 1
            if item == 3:
                raise asyncio.CancelledError
            if item == 5:
                raise ValueError
            return item * 10

        expected = [None if item in (3, 5) else item * 10 for item in range(20)]
        with self.assertLogs("shared.plugins.sdk", "WARNING"):
            self.assertEqual(concurrent_api_calls(range(20), call, max_concurrent=4), expected)
        self.assertEqual(most, 4)
        self.assertEqual(concurrent_api_calls([], call), [])

        threads: set[int] = set()

        def process(item: int) -> int:
            threads.add(threading.get_ident())
            if item == 7:
                raise SystemExit
            return item * 10

        with self.assertLogs("shared.plugins.sdk", "WARNING"):
            done = parallel_io(range(300), process, max_workers=100_000)
        self.assertEqual(done, {item: item * 10 for item in range(300) if item != 7})
        self.assertLessEqual(len(threads), 64)

    def test_a_call_that_awaits_for_too_long_is_canceled_and_tried_again_while_its_worker_lives(self) -> None:
        body = """
tried = {}
class P:
    async def __call__(self, batch):
        first = batch["data"][0]
        tried[first] = tried.get(first, 0) + 1
        if first == "3" and tried[first] == 1:
            try:
                await asyncio.sleep(600)
            finally:
                print("canceled")
        batch["tried"] = tried[first]
        return batch
"""
        with WorkerProcess(api_plugin(body, profile="compute_profile = {'batch_size': 1}\n")) as worker:
            worker.build()
            result = worker.run(rows(10), call_seconds=0.2)
            self.assertEqual(worker.printed(), "canceled\n")
        self.assertEqual([fields["tried"] for fields in result.fields], [1, 1, 1, 2, 1, 1, 1, 1, 1, 1])

    def test_what_ends_the_partition_waits_for_calls_that_are_under_way(self) -> None:
        body = """
done = []
class P:
    def __call__(self, batch):
        if batch["data"][0] == "0":
            raise MemoryError
        if batch["data"][0] == "1":
            time.sleep(0.3)
            print("ended")
        return batch
"""
        with WorkerProcess(api_plugin(body, profile="compute_profile = {'batch_size': 1}\n")) as worker:
            worker.build()
            reply = worker.run(rows(8)).reply
            printed = worker.printed()
        self.assertEqual((reply["type"], reply["error"]["error_type"]), ("failed", "resource"))
        self.assertIn("ended", printed)


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


class HttpError(Exception):
    """As clients raise it: with the response."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"HTTP {status}")
        self.response = type("Response", (), {"status_code": status, "headers": headers})()


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


class Transience(unittest.TestCase):
    def named(self, module: str, name: str, *bases: type) -> Exception:
        made: Exception = type(name, bases or (Exception,), {"__module__": module})("x")
        return made

    def test_errors_of_clients_are_known_by_their_names(self) -> None:
        cases = {
            ("requests.exceptions", "ConnectionError"): True,
            ("requests.exceptions", "InvalidURL"): False,
            ("httpx", "ConnectTimeout"): False,
            ("httpx", "NetworkError"): True,
            ("aiohttp.client_exceptions", "ClientConnectionError"): True,
            ("urllib3.exceptions", "ProtocolError"): True,
            ("openai", "APIConnectionError"): True,
            ("plugin_x", "ConnectionError"): False,
        }
        for (module, name), expected in cases.items():
            with self.subTest(module + name):
                self.assertEqual(transient(self.named(module, name)) is not None, expected)
        timeout = type("ConnectTimeout", (type("TimeoutException", (Exception,), {"__module__": "httpx"}),), {})
        self.assertIsNotNone(transient(timeout()))
        for error in (TimeoutError(), asyncio.TimeoutError(), ConnectionResetError(), OSError(113, "no route"), BrokenPipeError()):
            self.assertIsNotNone(transient(error), error)
        for other in (OSError(2, "no file"), ValueError(), KeyError("x"), SystemExit(503), MemoryError()):
            self.assertIsNone(transient(other), other)

    def test_what_caused_an_error_counts_and_the_outermost_status_decides(self) -> None:
        def raised(outer: Exception, inner: Exception) -> Exception:
            outer.__cause__ = inner
            return outer

        self.assertIsNotNone(transient(raised(RuntimeError("wrapped"), HttpError(502))))
        self.assertIsNone(transient(raised(HttpError(400), ConnectionResetError())))
        self.assertIsNotNone(transient(urllib.error.URLError(ConnectionRefusedError())))
        refused = urllib.error.URLError(OSError("Tunnel connection failed: 403 The sandbox refused network access (a:443)"))
        self.assertIsNone(transient(raised(self.named("requests.exceptions", "ConnectionError"), refused)))

    def test_statuses_stand_where_clients_put_them(self) -> None:
        for name in ("status_code", "status", "code"):
            for status, expected in ((408, True), (425, True), (429, True), (500, True), (599, True), (404, False), (200, False)):
                error = Exception("x")
                setattr(error, name, status)
                self.assertEqual(transient(error) is not None, expected, (name, status))

    def test_retry_after_is_seconds_or_a_date_and_nonsense_is_passed_over(self) -> None:
        now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        cases = {
            "7": 7.0,
            "1.5": 1.5,
            format_datetime(now + timedelta(seconds=30), usegmt=True): 30.0,
            format_datetime(now - timedelta(seconds=30), usegmt=True): 0.0,
            "soon": None,
            "-3": None,
        }
        for text, expected in cases.items():
            headers = email.message.Message()
            headers["retry-after"] = text
            error = urllib.error.HTTPError("http://a", 503, "busy", headers, None)
            self.assertEqual(transient(error, now.timestamp()), Transient(expected, expected is not None), text)

    def test_an_error_that_raises_when_it_is_looked_at_is_none_of_them(self) -> None:
        class Hostile(Exception):
            @property
            def response(self) -> Any:
                raise SystemExit

            def __str__(self) -> str:
                raise KeyboardInterrupt

        self.assertIsNone(transient(Hostile()))


if __name__ == "__main__":
    unittest.main()
