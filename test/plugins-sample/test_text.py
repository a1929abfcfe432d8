"""plugins-sample/text on real texts in several scripts."""

import os
import subprocess
import sys
import time
import unittest
from itertools import islice

from support import ROOT, sample

import numpy as np
import pandas as pd

sys.path.insert(0, str(ROOT / "scripts"))
from docstrings import standard_library_texts

PLUGIN = sample("text")
CORE = PLUGIN.module("processors.core")

# Pairs that say nearly the same, from documentation and news of several languages.
ALIKE = [
    (
        "Return a list containing the names of the files in the directory.",
        "Lists the names of all files in a directory.",
    ),
    ("The cat sat quietly on the warm windowsill.", "A cat was sitting on the windowsill, quiet and warm."),
    ("Der Zug nach München fährt heute zehn Minuten später.", "Heute fährt der Zug nach München später ab."),
    ("Погода завтра будет солнечной и тёплой.", "Завтра ожидается солнечная и тёплая погода."),
    ("東京の天気は明日も晴れでしょう。", "明日の東京は晴れの天気です。"),
    ("我们明天去北京参观博物馆。", "明天我们参观北京的博物馆。"),
    ("سيكون الطقس غدا مشمسا في القاهرة", "الطقس في القاهرة غدا مشمس"),
]


def processor(**settings: object) -> object:
    values = {**PLUGIN.manifest.TextParams().model_dump(), **settings}
    return CORE.TextProcessor(CORE.TextConfig(**values))


def describe(*texts: object, **settings: object) -> pd.DataFrame:
    return processor(**settings)(pd.DataFrame({"text": pd.Series(texts, dtype=object)}))


def vectors(*texts: str, **settings: object) -> np.ndarray:
    return np.stack(describe(*texts, **settings)[PLUGIN.embedding])


class Embedding(unittest.TestCase):
    def test_texts_alike_are_closer_than_all_unrelated_ones(self) -> None:
        left, right = vectors(*(a for a, _ in ALIKE)), vectors(*(b for _, b in ALIKE))
        cosines = left @ right.T
        for row in range(len(ALIKE)):
            unrelated = np.delete(cosines[row], row)
            self.assertGreater(cosines[row, row], unrelated.max() + 0.1, ALIKE[row])

    def test_the_nearest_neighbour_of_a_docstring_is_mostly_of_its_own_module(self) -> None:
        texts = [text for text in islice(standard_library_texts(), 2_000) if len(text["text"]) > 60]
        found = vectors(*(text["text"] for text in texts))
        cosines = found @ found.T
        np.fill_diagonal(cosines, -1)
        modules = np.array([text["module"] for text in texts])
        self.assertGreater((modules[cosines.argmax(axis=1)] == modules).mean(), 0.5)

    def test_a_text_has_the_same_vector_in_any_batch_and_any_process(self) -> None:
        text = "Encode a Python object as JSON; 日本語 🙂"
        alone = vectors(text)[0]
        among = vectors(*(f"another text {number}" for number in range(100)), text)[-1]
        self.assertTrue(np.array_equal(alone, among))
        code = (
            "import sys; sys.path[:0] = sys.argv[1].split(':'); import test_text;"
            "print(test_text.vectors(sys.argv[2])[0].tobytes().hex())"
        )
        path = ":".join(entry for entry in sys.path if entry)
        done = subprocess.run(
            [sys.executable, "-B", "-c", code, path, text],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "99", "PYTHONUTF8": "1"},
        )
        self.assertEqual(done.stdout.strip(), alone.tobytes().hex())

    def test_what_looks_the_same_has_the_same_vector(self) -> None:
        composed, decomposed, wide = vectors("café déjà", "cafe\u0301 de\u0301ja\u0300", "ｃａｆé déjà")
        self.assertTrue(np.array_equal(composed, decomposed))
        self.assertTrue(np.array_equal(composed, wide))

    def test_case_counts_only_when_asked_for(self) -> None:
        upper, lower = vectors("READ FILE", "read file")
        self.assertAlmostEqual(float(upper @ lower), 1, places=5)
        upper, lower = vectors("READ FILE", "read file", lowercase=False)
        self.assertLess(float(upper @ lower), 0.5)

    def test_every_allowed_range_of_lengths_and_weight_gives_unit_vectors(self) -> None:
        for shortest, longest in ((2, 2), (2, 8), (3, 5), (8, 8)):
            for weight in (0, 0.3, 1):
                settings = {"ngram_min": shortest, "ngram_max": longest, "word_weight": weight}
                found = vectors("internationalization of software", "本日は晴天なり、北京的博物馆", **settings)
                self.assertTrue(np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5), settings)

    def test_what_is_shorter_than_the_shortest_sequence_has_no_vector_of_its_spelling(self) -> None:
        self.assertIsNone(describe("to be", ngram_min=8, ngram_max=8, word_weight=0)[PLUGIN.embedding][0])


class Statistics(unittest.TestCase):
    def test_counts_of_an_english_text(self) -> None:
        row = describe("Hello world, it's 3.14! Really? Yes... No 42").iloc[0]
        self.assertEqual((row["character_count"], row["sentence_count"]), (44, 4))
        self.assertEqual(row["word_count"], 9)  # 3.14 counts as 3 and 14
        self.assertEqual(row["digit_share"], round(5 / 44, 4))
        self.assertEqual(row["uppercase_share"], round(4 / 24, 4))
        self.assertEqual(row["main_script"], "latin")

    def test_scripts_and_words_of_other_languages(self) -> None:
        cases = {
            "Привет, мир! Как дела?": ("cyrillic", 4, 2),
            "我们明天去北京。你呢？": ("han", 9, 2),
            "안녕하세요 여러분": ("hangul", 2, 1),
            "שלום עולם": ("hebrew", 2, 1),
            "नमस्ते दुनिया।": ("devanagari", 2, 1),
            "カタカナとひらがな": ("hiragana", 2, 1),
        }
        for text, (script, words, sentences) in cases.items():
            row = describe(text).iloc[0]
            self.assertEqual(
                (row["main_script"], row["word_count"], row["sentence_count"]), (script, words, sentences), text
            )

    def test_entropy_and_ratio(self) -> None:
        result = describe("aaaa", "abcd", "one two one two")
        self.assertEqual(result["character_entropy"].tolist()[:2], [0.0, 2.0])
        self.assertEqual(result["unique_word_ratio"].tolist()[2], 0.5)

    def test_texts_do_not_reach_into_one_another(self) -> None:
        texts = ["ends with a word", "begins so. Ends", "", "x", "🙂", "1.", ".5"]
        together = describe(*texts)
        for index, text in enumerate(texts):
            alone = describe(text)
            for column in together.columns.drop(["text", PLUGIN.embedding]):
                self.assertTrue(
                    together[column][index] == alone[column][0] or pd.isna(alone[column][0]), f"{column} of {text!r}"
                )


class Keywords(unittest.TestCase):
    def test_what_occurs_often_and_together_comes_first(self) -> None:
        text = (
            "The json decoder reads. A json decoder may fail; then the json decoder raises an error about the document."
        )
        self.assertEqual(describe(text).iloc[0]["keywords"][0], "json decoder")

    def test_function_words_and_ignored_words_are_left_out(self) -> None:
        text = "This is what should have been here when there were words: elephants"
        self.assertEqual(describe(text).iloc[0]["keywords"], ["elephants", "words"])
        self.assertEqual(describe(text, ignore_words=["ELEPHANTS"], top_k=50).iloc[0]["keywords"].count("elephants"), 0)

    def test_han_characters_make_words_of_two(self) -> None:
        self.assertIn("北京", describe("北京的博物馆，北京的天气").iloc[0]["keywords"])

    def test_top_k_limits_them(self) -> None:
        text = " ".join(f"distinct{chr(97 + i)}{chr(97 + i)} other{chr(97 + i)}" for i in range(26))
        for top_k in (0, 1, 7, 50):
            self.assertEqual(len(describe(text, top_k=top_k).iloc[0]["keywords"]), top_k)


class OddInput(unittest.TestCase):
    def test_what_holds_nothing_has_no_vector(self) -> None:
        result = describe(None, float("nan"), "", "   \n\t", "!!! ...", 42)
        self.assertTrue(result[PLUGIN.embedding].isna().all())
        self.assertEqual(result["word_count"].tolist(), [0] * 6)

    def test_an_empty_batch_stays_as_it_is(self) -> None:
        batch = pd.DataFrame({"text": pd.Series([], dtype=object)})
        self.assertEqual(list(processor()(batch).columns), ["text"])

    def test_emoji_surrogates_controls_and_combining_runs_are_described(self) -> None:
        texts = [
            "👨‍👩‍👧 🙂🙂",
            "\ud800 half",
            "\0\x01 word \x7f",
            "a" + "\u0301" * 50_000,
            "\u200f\u202etxet",
            "\ufeffstart",
        ]
        result = describe(*texts)
        lengths = [np.linalg.norm(vector) for vector in result[PLUGIN.embedding]]
        self.assertTrue(np.allclose(lengths, 1, atol=1e-5))

    def test_a_very_long_text_is_cut_and_says_so(self) -> None:
        result = describe("word " * 1_000_000, "word " * 10, "\ufdfa" * 90_000, max_characters=100_000)
        self.assertEqual(result["truncated"].tolist(), [True, False, True])
        self.assertEqual(result["character_count"].tolist(), [100_000, 50, 100_000])

    def test_a_text_of_combining_marks_takes_no_more_than_a_moment(self) -> None:
        started = time.process_time()
        describe("\u0315\u0300\u0327" * 30_000)
        self.assertLess(time.process_time() - started, 5)

    def test_parameters_out_of_their_limits_are_refused(self) -> None:
        for wrong in ({"ngram_min": 5, "ngram_max": 4}, {"ngram_min": 1}, {"top_k": -1}, {"max_characters": 10**9}):
            with self.assertRaises(ValueError):
                PLUGIN.manifest.TextParams(**wrong)


if __name__ == "__main__":
    unittest.main()
