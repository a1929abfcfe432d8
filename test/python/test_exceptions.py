"""Whatever a step raises, and whatever its exceptions do when they are looked at: one row's error, with words, within limits."""

import sys
import unittest

from support import MANIFEST, HttpError, Message
from test_batch import run, texts


def failing(body: str, head: str = "", manifest: str = MANIFEST) -> Message:
    """The error of the one row of three for which `body` is executed; the others are done."""
    step = f"{head}\ndef inner(text):\n    {body}\ndef step(batch):\n    for text in batch['text']:\n        if text == 'bad': inner(text)\n    batch['ok'] = True\n    return batch\n"
    result = run(step, texts("a", "bad", "c"), manifest=manifest)
    assert (result.rows, sorted(result.errors)) == ([0, 2], [1]), (result.reply, result.errors)
    return result.errors[1]


class Exceptions(unittest.TestCase):
    def test_that_raise_when_they_are_looked_at_are_named(self) -> None:
        for raised in ("KeyboardInterrupt", "SystemExit(3)", "ValueError", "RecursionError"):
            head = f"class Bad(Exception):\n    def __str__(self): raise {raised}\n    __repr__ = __str__\n    @property\n    def exceptions(self): raise {raised}\n"
            with self.subTest(raised):
                error = failing("raise Bad('x')", head)
                self.assertEqual((error["exception"], error["message"]), ("Bad", "<Bad without a readable message>"))
                self.assertIn("pipeline.py, line", error["traceback"])

    def test_messages_of_any_size_and_text_are_taken_within_limits(self) -> None:
        error = failing("raise ValueError('begin' + 'x' * 50_000_000 + 'end')")
        self.assertTrue(error["message"].startswith("begin") and error["message"].endswith("end"))
        self.assertLessEqual(len(error["message"].encode()), 2048)
        error = failing("raise ValueError('half \\ud800 \\x00 \\x1b[31m é')")
        self.assertEqual(error["message"], "half \\ud800 \x00 \x1b[31m é")
        error = failing("raise KeyError(b'\\xff', None, float('nan'))")
        self.assertEqual(error["message"], "(b'\\xff', None, nan)")

    def test_a_recursion_without_end_is_its_rows_error(self) -> None:
        error = failing("inner(text)")
        self.assertEqual(error["exception"], "RecursionError")
        self.assertLessEqual(error["traceback"].count("in inner"), 60)

    def test_causes_follow_and_a_ring_of_them_ends(self) -> None:
        error = failing("one, two = ValueError('one'), KeyError('two')\n    one.__cause__, two.__cause__ = two, one\n    raise one")
        self.assertEqual(error["traceback"].count("caused by"), 3)

    @unittest.skipIf(sys.version_info < (3, 11), "Python 3.10 has no groups")
    def test_of_a_group_its_members_are_told_with_the_authors_frames(self) -> None:
        head = "import asyncio\nasync def ask(what):\n    await asyncio.sleep(0)\n    raise LookupError(what)\n"
        tasks = "async def all():\n        async with asyncio.TaskGroup() as group:\n            group.create_task(ask('no such word'))\n    asyncio.run(all())"
        error = failing(tasks, head)
        self.assertEqual(error["exception"], "ExceptionGroup")
        self.assertIn("LookupError: no such word", error["message"])
        self.assertIn("in ask", error["traceback"])
        self.assertIn("1 of 1 in it", error["traceback"])
        nested = failing("raise ExceptionGroup('outer', [ExceptionGroup('inner', [ValueError(str(n)) for n in range(50)])] * 50)")
        self.assertIn("ValueError: 0", nested["message"])

    def test_warnings_that_a_plugin_made_errors_cost_no_other_row(self) -> None:
        head = "import warnings\nwarnings.simplefilter('error')\n"
        self.assertEqual(failing("warnings.warn('old')", head)["exception"], "UserWarning")

    def test_an_exit_in_a_thread_of_the_plugin_is_its_rows(self) -> None:
        head = "import sys\nfrom concurrent.futures import ThreadPoolExecutor\n"
        error = failing("with ThreadPoolExecutor(1) as pool: pool.submit(sys.exit, 4).result()", head)
        self.assertEqual((error["exception"], error["message"]), ("SystemExit", "The plugin called exit (4)."))


class Services(unittest.TestCase):
    @unittest.skipIf(sys.version_info < (3, 11), "Python 3.10 has no groups")
    def test_a_group_is_tried_again_when_all_in_it_could_not_be_answered(self) -> None:
        from plugin_worker.transient_errors import Transient, transient

        lost, busy, wrong = ConnectionResetError(), HttpError(429, **{"Retry-After": "7"}), HttpError(400)
        self.assertEqual(transient(ExceptionGroup("tasks", [lost, ExceptionGroup("more", [busy])])), Transient(7.0, True))
        self.assertIsNone(transient(ExceptionGroup("tasks", [lost, wrong])))
        self.assertIsNone(transient(ExceptionGroup("tasks", [lost] * 1000)))

    def test_an_exception_whose_class_lies_about_its_module_is_not_tried_again(self) -> None:
        from plugin_worker.transient_errors import transient

        class Odd(Exception):
            __module__ = None  # type: ignore[assignment]

        self.assertIsNone(transient(Odd()))


if __name__ == "__main__":
    unittest.main()
