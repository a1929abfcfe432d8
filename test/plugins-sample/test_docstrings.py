"""scripts/docstrings.py: the real texts of the quick start and the benchmarks."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import ROOT

SCRIPT = ROOT / "scripts" / "docstrings.py"


def lines(*options: str) -> list[str]:
    done = subprocess.run([sys.executable, "-I", "-B", SCRIPT, *options], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


class Docstrings(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.twice = [json.loads(line) for line in lines("--repeat", "2")]
        cls.once = cls.twice[: len(cls.twice) // 2]

    def test_there_are_more_than_5000_texts_with_unique_names_and_no_tests_among_them(self) -> None:
        texts = self.once
        self.assertGreater(len(texts), 5_000)
        self.assertEqual(len({text["name"] for text in texts}), len(texts))
        self.assertEqual({text["kind"] for text in texts}, {"module", "class", "function"})
        self.assertTrue(all(text["text"].strip() for text in texts))
        modules = {text["module"].split(".")[0] for text in texts}
        self.assertFalse(modules & {"test", "idlelib", "turtledemo", "site-packages"})
        names = {text["name"]: text for text in texts}
        self.assertIn("Deserialize ``fp``", names["json.load"]["text"])
        self.assertEqual(names["json.decoder.JSONDecoder.decode"]["module"], "json.decoder")
        self.assertEqual(names["json.decoder"]["kind"], "module")

    def test_two_runs_print_the_same(self) -> None:
        self.assertEqual([json.loads(line) for line in lines("--limit", "500")], self.once[:500])

    def test_repeat_gives_new_names_and_new_texts(self) -> None:
        again = self.twice[len(self.once) :]
        self.assertEqual([text["name"] for text in again], [f"{text['name']}#2" for text in self.once])
        self.assertFalse({text["text"] for text in again} & {text["text"] for text in self.once})

    def test_output_writes_a_file_of_limit_lines(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "texts.jsonl"
            self.assertEqual(lines("--limit", "7", "--output", str(target)), [])
            self.assertEqual(target.read_text(encoding="utf-8").splitlines(), lines("--limit", "7"))

    def test_a_limit_that_is_not_positive_is_a_usage_error(self) -> None:
        for wrong in ("0", "-1", "many"):
            done = subprocess.run(
                [sys.executable, "-I", "-B", SCRIPT, "--limit", wrong], capture_output=True, text=True
            )
            self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    unittest.main()
