"""Rows through steps: what is served, matched, stored, and which row a failure belongs to."""

import unittest
from typing import Any

import seed_plugin
from support import MANIFEST, Result, WorkerProcess, plugin_of

HEAD = "from engine.plugins.extractors.pipeline import *\nimport pandas as pd\nimport numpy as np\n"


def run(
    step: str, rows: list[dict[str, Any]], features: list[tuple[str, int]] | None = None, manifest: str = MANIFEST
) -> Result:
    """A partition through one plain function `step(batch)`."""
    with WorkerProcess(plugin_of(HEAD + step + "\nsteps = [step]\n", manifest)) as worker:
        built = worker.build()
        assert built["type"] == "steps_built", built
        return worker.run(rows, features)


def texts(*values: Any) -> list[dict[str, Any]]:
    return [{"text": value, "data": value, "mime_type": "text/plain"} for value in values]


class SeedPlugin(unittest.TestCase):
    def test_the_documented_plugin_runs_as_it_is_written(self) -> None:
        with WorkerProcess(seed_plugin.FILES) as worker:
            worker.build({"threshold": 0.7})
            result = worker.run(texts("short", "a text of some length", None), seed_plugin.FEATURES)
            printed = worker.printed()
        self.assertEqual(result.reply["rows_in"], 3)
        self.assertEqual(result.fields, [{"label": "negative"}, {"label": "positive"}, {"label": "negative"}])
        self.assertEqual(result.vectors["my_extractor_embedding"].shape, (3, 384))
        self.assertAlmostEqual(float(result.vectors["my_extractor_embedding"][1, 0]), 2.1, places=5)
        self.assertEqual(
            [str(field.type) for field in result.schema], ["int64", "int32", "string", "list<element: string>"]
        )
        self.assertEqual(printed, "", "no warnings")

    def test_a_column_of_the_input_schema_is_there_when_no_row_has_it(self) -> None:
        with WorkerProcess(seed_plugin.FILES) as worker:
            worker.build()
            result = worker.run([{"mime_type": "text/plain"}], seed_plugin.FEATURES)
        self.assertEqual(result.fields, [{"label": "negative"}])

    def test_an_empty_partition_has_empty_files(self) -> None:
        result = run("def step(batch): raise AssertionError", [], [("v", 2)])
        self.assertEqual((result.reply["rows_in"], result.reply["rows_out"], result.documents), (0, 0, []))


class Columns(unittest.TestCase):
    def test_data_and_system_columns_are_served_and_never_stored(self) -> None:
        step = "def step(batch):\n    batch['seen'] = batch['data'] + '|' + batch['blob_type'].fillna('none')\n    return batch\n"
        result = run(step, texts("a", "b"))
        self.assertEqual(result.fields, [{"seen": "a|none"}, {"seen": "b|none"}])

    def test_inputs_are_stored_when_output_schema_names_them_and_whole_numbers_stay_whole(self) -> None:
        manifest = MANIFEST + "input_schema = {'text': {}}\noutput_schema = {'text': {}, 'year': {}}\n"
        rows = [{"text": "a", "year": 1999, "topic": "x"}, {"text": "b", "year": None, "topic": "y"}]
        result = run("def step(batch):\n    batch['n'] = [1, 2]\n    return batch\n", rows, manifest=manifest)
        self.assertEqual(result.fields, [{"text": "a", "year": 1999, "n": 1}, {"text": "b", "year": None, "n": 2}])

    def test_a_column_of_whole_numbers_fractions_and_nulls_is_one_of_numbers(self) -> None:
        step = "def step(batch):\n    batch['root'] = np.sqrt(batch['price'])\n    return batch\n"
        rows = [{"price": 4}, {"price": 2.25}, {"price": None}]
        result = run(step, rows)
        self.assertEqual((result.errors, result.fields), ({}, [{"root": 2.0}, {"root": 1.5}, {"root": None}]))

    def test_a_whole_number_that_no_float_is_stays_one_beside_fractions_and_nulls(self) -> None:
        step = "def step(batch):\n    batch['said'] = [repr(n) for n in batch['n'].tolist()]\n    return batch\n"
        for others in ([1.5], [None], [1.5, None]):
            numbers = [2**53 + 1, *others]
            result = run(step, [{"n": n} for n in numbers])
            self.assertEqual(result.fields, [{"said": repr(n)} for n in numbers])
        # What floats are is as before: numbers.
        result = run(step, [{"n": 2**54}, {"n": None}])
        self.assertEqual(result.fields, [{"said": repr(2.0**54)}, {"said": "nan"}])

    def test_an_object_field_is_stored_only_when_the_step_changes_it_and_an_input_never(self) -> None:
        manifest = MANIFEST + "input_schema = {'text': {}}\n"
        rows = [{"text": "A", "label": "old", "kept": 1}, {"text": "B", "label": "old", "kept": 2}]
        step = "def step(batch):\n    batch['text'] = batch['text'].str.lower()\n    batch['label'] = 'new'\n    return batch\n"
        self.assertEqual(run(step, rows, manifest=manifest).fields, [{"label": "new"}, {"label": "new"}])

    def test_what_a_step_changed_is_asked_row_by_row(self) -> None:
        rows = [{"text": "a", "label": "Old"}, {"text": "b", "label": "old"}, {"text": "c", "label": None}, {"text": "d"}]
        step = "def step(batch):\n    batch['label'] = batch['label'].str.lower()\n    return batch\n"
        expected = [{"label": "old"}, {}, {}, {}]
        self.assertEqual(run(step, rows).fields, expected)
        self.assertEqual([run(step, [row]).fields[0] for row in rows[:2]], expected[:2])
        manifest = MANIFEST + "output_schema = {'label': {}}\n"
        expected = [{"label": "old"}, {"label": "old"}, {"label": None}, {"label": None}]
        self.assertEqual(run(step, rows, manifest=manifest).fields, expected)

    def test_rows_may_hold_nested_values_large_numbers_and_different_keys(self) -> None:
        manifest = MANIFEST + "output_schema = {'tags': {}, 'n': {}, 'extra': {}}\n"
        same = [{"tags": [1, 2], "n": 2**80}, {"tags": [3, 4], "n": 1}]
        step = "def step(batch):\n    batch['first'] = [tags[0] for tags in batch['tags']]\n    return batch\n"
        result = run(step, same, manifest=manifest)
        self.assertEqual(result.fields[0], {"tags": [1, 2], "n": 2**80, "first": 1})
        result = run(step, [*same, {"tags": [5], "extra": {"a": [None]}}], manifest=manifest)
        self.assertEqual(result.fields[2], {"tags": [5], "n": None, "extra": {"a": [None]}, "first": 5})

    def test_values_that_are_not_plain_become_json_and_others_fail_their_row(self) -> None:
        step = """
import datetime
def step(batch):
    batch["v"] = [np.float32(0.5), float("nan"), pd.NaT, pd.Timestamp("2024-01-02"), {1: (np.int64(3), None)},
                  np.arange(3), 2**70, datetime.date(2024, 1, 2), object(), b"x", "\\ud800", True, [float("inf")]]
    return batch
"""
        result = run(step, texts(*"abcdefghijklm"))
        values = [fields["v"] for fields in result.fields]
        self.assertEqual(
            values,
            [0.5, None, None, "2024-01-02T00:00:00", {"1": [3, None]}, [0, 1, 2], 2**70, "2024-01-02", True, [None]],
        )
        self.assertEqual(sorted(result.errors), [8, 9, 10])
        self.assertIn("v is a builtins.object", result.errors[8]["message"])
        self.assertEqual(result.errors[9]["error_type"], "validation")

    def test_a_step_may_write_to_its_batch_without_touching_its_neighbours(self) -> None:
        step = """
class Step:
    def __init__(self, config): self.calls = 0
    def __call__(self, batch):
        self.calls += 1
        assert batch.index.tolist() == list(range(len(batch)))
        batch.loc[0, "text"] = "mine"
        batch["text2"] = batch["text"]
        return batch.iloc[::-1].reset_index(drop=True)
step = StepDefinition(service_class=Step, resource_type=ResourceType.GPU)
"""
        with WorkerProcess(plugin_of(HEAD + step + "steps = [step]")) as worker:
            worker.build()
            result = worker.run(texts(*map(str, range(20))))
            self.assertEqual(worker.printed(), "")
        expected = ["mine" if index % 8 == 0 else str(index) for index in range(20)]
        self.assertEqual([fields["text2"] for fields in result.fields], expected)


class Vectors(unittest.TestCase):
    def test_lists_tuples_arrays_and_none_are_taken(self) -> None:
        step = """
def step(batch):
    batch["v"] = [[1, 2], (3.5, 4), np.array([5, 6], dtype=np.float16), None, float("nan")]
    return batch
"""
        result = run(step, texts(*"abcde"), [("v", 2)])
        self.assertEqual(result.vectors["v"].tolist(), [[1, 2], [3.5, 4], [5, 6], [0, 0], [0, 0]])
        self.assertEqual([document["missing_vectors"] for document in result.documents], [[], [], [], ["v"], ["v"]])

    def test_a_wrong_vector_fails_its_row_and_names_feature_and_dimensions(self) -> None:
        step = """
def step(batch):
    batch["v"] = [[1.0, 2.0], [1.0], [1.0, float("inf")], [1e300, 0.0], "ab", [["x"], [1]], ["1", "2"], 3.0]
    return batch
"""
        result = run(step, texts(*"abcdefgh"), [("v", 2)])
        self.assertEqual(result.rows, [0])
        self.assertEqual(sorted(result.errors), [1, 2, 3, 4, 5, 6, 7])
        self.assertEqual(result.errors[1]["message"], "Feature 'v': expected 2 numbers, got 1.")
        self.assertIn("finite", result.errors[2]["message"])

    def test_arrays_of_one_batch_and_a_missing_column(self) -> None:
        result = run(
            "def step(batch):\n    batch['v'] = list(np.ones((len(batch), 3)))\n    return batch",
            texts("a", "b"),
            [("v", 3), ("w", 2)],
        )
        self.assertEqual(result.vectors["v"].tolist(), [[1, 1, 1]] * 2)
        self.assertEqual(result.documents[1]["missing_vectors"], ["w"])
        self.assertEqual(result.fields, [{}, {}])


class Matching(unittest.TestCase):
    def test_rows_come_back_by_document_id_in_any_order(self) -> None:
        step = (
            "def step(batch):\n    batch['t'] = batch['text']\n    return batch.sort_values('text', ascending=False)\n"
        )
        self.assertEqual([fields["t"] for fields in run(step, texts(*"bca")).fields], ["b", "c", "a"])

    def test_more_rows_are_numbered_in_order_when_they_keep_the_document_id(self) -> None:
        step = """
def step(batch):
    batch["part"] = batch["text"].str.split(" ")
    return batch.explode("part").iloc[::-1]
"""
        result = run(step, texts("a b", "c", "d e f"))
        self.assertEqual(result.rows, [0, 0, 1, 2, 2, 2])
        self.assertEqual([document["output_index"] for document in result.documents], [0, 1, 0, 0, 1, 2])
        self.assertEqual([fields["part"] for fields in result.fields], ["b", "a", "c", "f", "e", "d"])
        self.assertEqual((result.reply["rows_in"], result.reply["rows_out"]), (3, 6))

    def test_without_ids_equal_counts_match_by_position_and_others_are_errors(self) -> None:
        step = "def step(batch):\n    return pd.DataFrame({'n': range(len(batch))})\n"
        self.assertEqual([fields["n"] for fields in run(step, texts("a", "b")).fields], [0, 1])
        result = run("def step(batch):\n    return pd.DataFrame({'n': range(5)})\n", texts("a", "b"))
        self.assertEqual(sorted(result.errors), [0, 1])
        self.assertIn("step returned 5 rows for 1", result.errors[0]["message"])

    def test_a_row_for_which_nothing_comes_back_is_an_error(self) -> None:
        result = run("def step(batch):\n    return batch[batch['text'] != 'b']\n", texts(*"abc"))
        self.assertEqual((result.rows, sorted(result.errors)), ([0, 2], [1]))
        self.assertIn("returned nothing", result.errors[1]["message"])

    def test_a_result_that_is_no_frame_fails_its_rows_with_a_clear_message(self) -> None:
        cases = {
            "def step(batch): batch['x'] = 1": "returned None; it must return the DataFrame",
            "def step(batch): return [1]": "returned a list",
            "async def step(batch): yield batch": "returned a async_generator",
            "def step(batch): return pd.concat([batch, batch], axis=1)": "occurs twice",
            "def step(batch): return batch.assign(**{'x': 1}).rename(columns={'x': 3})": "not all strings: 3",
        }
        for step, expected in cases.items():
            with self.subTest(step):
                result = run(step, texts("a", "b"))
                self.assertEqual(sorted(result.errors), [0, 1])
                self.assertIn(expected, result.errors[1]["message"])


class Failures(unittest.TestCase):
    def test_one_bad_row_is_found_and_the_rest_goes_on(self) -> None:
        step = """
def inner(text):
    if text == "bad":
        raise ValueError("cannot read bad")

def step(batch):
    for text in batch["text"]:
        inner(text)
    batch["ok"] = True
    return batch
"""
        values = ["bad" if index in (7, 500) else str(index) for index in range(1500)]
        result = run(step, texts(*values))
        self.assertEqual(sorted(result.errors), [7, 500])
        self.assertEqual(result.reply["rows_failed"], 2)
        self.assertEqual(len(result.documents), 1498)
        self.assertEqual(result.rows, sorted(result.rows))
        error = result.errors[500]
        self.assertEqual(
            (error["exception"], error["message"], error["stage"]), ("ValueError", "cannot read bad", "step step")
        )
        self.assertIn("pipeline.py, line", error["traceback"])
        self.assertIn("in inner", error["traceback"])

    def test_exits_raised_by_a_step_are_row_errors(self) -> None:
        for raised in ("SystemExit(0)", "KeyboardInterrupt()"):
            with self.subTest(raised):
                result = run(f"def step(batch):\n    raise {raised}\n", texts("a", "b", "c"))
                self.assertEqual(sorted(result.errors), [0, 1, 2])
                self.assertEqual(result.reply["rows_out"], 0)

    def test_a_missing_module_fails_the_partition_after_one_call(self) -> None:
        step = "def step(batch):\n    print('called')\n    import module_of_nowhere\n"
        with WorkerProcess(plugin_of(HEAD + step + "\nsteps = [step]\n")) as worker:
            worker.build()
            result = worker.run(texts(*map(str, range(64))))
            self.assertEqual(worker.printed().count("called"), 1)
        error = result.reply["error"]
        self.assertEqual((result.reply["type"], error["error_type"]), ("failed", "dependency"))
        self.assertIn("module_of_nowhere", error["message"])

    def test_a_call_that_is_too_large_for_memory_is_halved_and_the_size_that_suffices_is_told(self) -> None:
        step = "def step(batch):\n    if len(batch) > 100: raise MemoryError\n    batch['n'] = len(batch)\n    return batch\n"
        result = run(step, texts(*map(str, range(3000))))
        self.assertEqual((result.reply["rows_failed"], len(result.documents)), (0, 3000))
        self.assertEqual(result.reply["batch_rows"], 64)
        self.assertEqual({fields["n"] for fields in result.fields[1024:2944]}, {64})

    def test_a_row_that_is_too_large_alone_is_a_resource_error_and_tells_no_size(self) -> None:
        step = "def step(batch):\n    if '77' in batch['text'].tolist(): raise MemoryError('no room')\n    batch['ok'] = 1\n    return batch\n"
        result = run(step, texts(*map(str, range(200))))
        self.assertEqual({row: error["error_type"] for row, error in result.errors.items()}, {77: "resource"})
        self.assertIsNone(result.reply["batch_rows"])

    def test_no_call_has_more_rows_than_the_appliance_says(self) -> None:
        step = "def step(batch):\n    batch['n'] = len(batch)\n    return batch\n"
        with WorkerProcess(plugin_of(HEAD + step + "\nsteps = [step]\n")) as worker:
            worker.build()
            result = worker.run(texts(*map(str, range(100))), batch_rows=7)
        self.assertEqual({fields["n"] for fields in result.fields}, {7, 2})

    def test_rows_that_fail_often_make_calls_smaller_and_the_result_is_the_same(self) -> None:
        step = "def step(batch):\n    if any(int(text) % 50 == 3 for text in batch['text']): raise ValueError\n    batch['n'] = len(batch)\n    return batch\n"
        result = run(step, texts(*map(str, range(4000))))
        self.assertEqual(sorted(result.errors), list(range(3, 4000, 50)))
        self.assertEqual(result.rows, [row for row in range(4000) if row % 50 != 3])
        self.assertLess(max(fields["n"] for fields in result.fields[3000:]), 50)

    def test_missing_services_and_constructors_fail_the_partition(self) -> None:
        service = "from engine.inference.intfloat.multilingual_e5_large_instruct.services import *\n"
        cases = {
            service + "step = StepDefinition(service_class=E5TextEmbeddingBatch, config=E5Config())": "dependency",
            "class P:\n    def __init__(self, config): raise ValueError('no weights')\nstep = StepDefinition(service_class=P)": "runtime",
        }
        for step, kind in cases.items():
            with self.subTest(kind):
                result = run(step, texts("a", "b"))
                self.assertEqual(
                    (result.reply["type"], result.reply["error"]["error_type"]), ("failed", kind), result.reply
                )
        self.assertEqual(result.reply["error"]["stage"], "construction of P")

    def test_every_row_failing_keeps_the_error_file_small(self) -> None:
        step = "def step(batch):\n    raise ValueError('x' * 100000)\n"
        result = run(step, texts(*map(str, range(300))))
        self.assertEqual(len(result.errors), 300)
        self.assertLessEqual(max(len(error["message"]) for error in result.errors.values()), 2048)
        self.assertLessEqual(len(result.errors[299]["traceback"].encode()), 1024)

    def test_row_numbers_need_not_be_contiguous(self) -> None:
        rows = [{**row, "__row": 10 * index + 5} for index, row in enumerate(texts("a", "b", "c"))]
        result = run("def step(batch):\n    return batch[batch['text'] != 'b']\n", rows)
        self.assertEqual((result.rows, list(result.errors)), ([5, 25], [15]))


if __name__ == "__main__":
    unittest.main()
