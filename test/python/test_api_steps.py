"""Steps of resource type API in real workers: calls that overlap, in threads and on an event loop, and exact."""

import asyncio
import threading
import unittest
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
            import module_of_nowhere
        if batch["data"][0] == "1":
            time.sleep(0.3)
            print("ended")
        return batch
"""
        with WorkerProcess(api_plugin(body, profile="compute_profile = {'batch_size': 1}\n")) as worker:
            worker.build()
            reply = worker.run(rows(8)).reply
            printed = worker.printed()
        self.assertEqual((reply["type"], reply["error"]["error_type"]), ("failed", "dependency"))
        self.assertIn("ended", printed)


if __name__ == "__main__":
    unittest.main()
