"""What a partition's worker tells of its progress: rows, its steps, and what processors say by `progress_actor`."""

import asyncio
import copy
import json
import threading
import unittest

from support import WorkerProcess, plugin_of

from engine.plugins.extractors.progress import ProgressActor, Told, listen_to_progress

HEAD = "import time\nfrom engine.plugins.extractors.pipeline import *\n"


def rows(count: int) -> list[dict[str, object]]:
    return [{"text": f"text {number}", "mime_type": "text/plain"} for number in range(count)]


def events(worker: WorkerProcess, kind: str) -> list[dict[str, object]]:
    return [event for event in worker.events if event["type"] == kind]


class Calls(unittest.TestCase):
    def setUp(self) -> None:
        self.told: list[Told] = []
        listen_to_progress(self.told.append)
        self.addCleanup(listen_to_progress, None)
        self.actor = ProgressActor()

    def test_the_usual_calls_are_understood(self) -> None:
        cases = [
            (lambda a: a.update(5), Told(add=5)),
            (lambda a: a.update.remote(5), Told(add=5)),
            (lambda a: a.update.options(num_cpus=1).remote(5), Told(add=5)),
            (lambda a: a.increment(), Told(add=1)),
            (lambda a: a.increment.remote(by=3), Told(add=3)),
            (lambda a: a.set_total(10), Told(total=10)),
            (lambda a: a.set_total.remote(total=10), Told(total=10)),
            (lambda a: a.update(5, 10), Told(done=5, total=10)),
            (lambda a: a.update(current=5, total=10, message="half"), Told("half", done=5, total=10)),
            (lambda a: a.update({"completed": 2, "status": "s"}), Told("s", done=2)),
            (lambda a: a.set_progress(0.5), Told(done=0.5)),
            (lambda a: a.set_message("loading"), Told("loading")),
            (lambda a: a.report("loading", 3), Told("loading", add=3)),
            (lambda a: a.log.info.remote("deeper"), Told("deeper")),
            (lambda a: a(2), Told(add=2)),
        ]
        for call, expected in cases:
            self.told.clear()
            self.assertFalse(call(self.actor))
            self.assertEqual(self.told, [expected])

    def test_nothing_raises_and_what_makes_no_sense_is_dropped(self) -> None:
        class Hostile:
            def __float__(self) -> float:
                raise RuntimeError("no")

        for value in (float("nan"), float("inf"), 1e300, None, True, object(), b"x", [], Hostile(), {"total": "ten"}, {1: 2}):
            self.actor.update(value)
            self.actor.set_total.remote(total=value)
            self.actor.anything_at_all(value, key=value)
        self.assertEqual(self.told, [])
        self.actor.update("x" * 100_000)
        self.assertEqual(len(self.told[0].message or ""), 200)

        def fails(_: Told) -> None:
            raise OSError("the channel is closed")

        listen_to_progress(fails)
        self.actor.update(1)
        listen_to_progress(None)
        self.actor.update(1)

    def test_it_can_be_awaited_copied_and_asked(self) -> None:
        async def told() -> object:
            return await self.actor.update.remote(1)

        self.assertIsNone(asyncio.run(told()))
        self.assertTrue(copy.deepcopy(self.actor))
        self.assertFalse(hasattr(self.actor, "__array__"))
        self.assertTrue(hasattr(self.actor, "update"))


class ToldByAWorker(unittest.TestCase):
    def test_each_step_is_told_of_with_its_rows_failures_and_seconds(self) -> None:
        text = """
class First:
    def __init__(self, config=None): pass
    def __call__(self, batch):
        time.sleep(0.05)
        if batch["text"].isin(["text 3"]).any():
            raise ValueError("three")
        return batch
class Second:
    def __init__(self, config=None): pass
    def __call__(self, batch):
        batch["v"] = [[1.0] if t == "text 5" else [1.0, 2.0] for t in batch["text"]]
        return batch
class Third(Second): pass
steps = [StepDefinition(First), StepDefinition(Third, condition=RowCondition.IS_PDF), StepDefinition(Second)]
"""
        with WorkerProcess(plugin_of(HEAD + text)) as worker:
            worker.build()
            worker.run(rows(10), [("v", 2)])
            last = {event["index"]: event for event in events(worker, "step_progress")}
        told = [(last[index]["step"], last[index]["rows"], last[index]["rows_failed"]) for index in sorted(last)]
        self.assertEqual(told, [("First", 10, 1), ("Third", 0, 0), ("Second", 9, 1)])
        self.assertGreater(last[0]["seconds"], 0.04)
        for event in worker.events:
            self.assertEqual((event["partition"], event["attempt"]), ("p1", 1))

    def test_what_a_processor_says_comes_at_most_twice_a_second_and_its_last_word_always(self) -> None:
        text = """
class P:
    def __init__(self, config, progress_actor=None): self.progress_actor = progress_actor
    def __call__(self, batch):
        self.progress_actor.set_total.remote(5000)
        for _ in range(5000):
            self.progress_actor.increment.remote()
        self.progress_actor.update(message="\\U0001f49a" * 5000)
        batch["v"] = [[1.0]] * len(batch)
        return batch
steps = [StepDefinition(P)]
"""
        with WorkerProcess(plugin_of(HEAD + text)) as worker:
            worker.build()
            result = worker.run(rows(3), [("v", 1)])
            told = events(worker, "actor_progress")
        self.assertEqual(len(result.fields), 3)
        self.assertLessEqual(len(told), 5)
        self.assertEqual((told[-1]["done"], told[-1]["total"]), (5000, 5000))
        self.assertTrue(str(told[-1]["message"]).startswith("\U0001f49a"))
        self.assertLessEqual(max(len(json.dumps(event)) for event in worker.events), 1024)

    def test_threads_of_a_plugin_may_say_something_too(self) -> None:
        actor = ProgressActor()
        heard: list[Told] = []
        listen_to_progress(heard.append)
        self.addCleanup(listen_to_progress, None)
        threads = [threading.Thread(target=lambda: [actor.increment() for _ in range(100)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(heard), 400)


if __name__ == "__main__":
    unittest.main()
