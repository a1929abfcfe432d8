"""What is in the cells that steps return: each is stored as what it is, and one that cannot be fails its row, alone."""

import unittest

from support import MANIFEST
from test_batch import run, texts
from test_unusual_results import steps_of

# As a tensor that still has its gradient: numpy may not have its numbers, and two of them have no one answer to `==`.
TENSOR = """
class Tensor:
    def __init__(self, values, gradient=False):
        self.values, self.gradient = values, gradient
    def __array__(self, dtype=None, copy=None):
        if self.gradient:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        return np.array(self.values, dtype=dtype)
    def __len__(self): return len(self.values)
    def __eq__(self, other): return self
    def __ne__(self, other): return self
    def __bool__(self): raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
"""


class Vectors(unittest.TestCase):
    def test_a_cell_that_is_no_array_when_it_is_asked_fails_its_row_with_its_own_words(self) -> None:
        step = TENSOR + "def step(batch):\n    batch['v'] = [Tensor([1.0, 2.0], text == 'bad') for text in batch['text']]\n    return batch\n"
        result = run(step, texts("a", "bad", "c"), [("v", 2)])
        self.assertEqual((result.rows, result.vectors["v"].tolist()), ([0, 2], [[1, 2], [1, 2]]))
        self.assertIn("Feature 'v'", result.errors[1]["message"])
        self.assertIn("requires grad", result.errors[1]["message"])

    def test_what_a_plugin_asks_numpy_to_raise_costs_no_row(self) -> None:
        step = "def step(batch):\n    np.seterr(all='raise')\n    batch['v'] = [[1e-50, 1.0], [1e300, 0.0], [float('nan'), 0.0], [1.0, 2.0]]\n    return batch\n"
        result = run(step, texts(*"abcd"), [("v", 2)])
        self.assertEqual((result.rows, sorted(result.errors)), ([0, 3], [1, 2]))
        self.assertEqual(result.vectors["v"].tolist(), [[0, 1], [1, 2]])

    def test_a_nan_of_any_width_means_no_vector(self) -> None:
        step = "def step(batch):\n    batch['v'] = pd.Series([np.float32('nan'), np.float64('nan'), np.float16('nan'), [1, 2]], dtype=object)\n    return batch\n"
        result = run(step, texts(*"abcd"), [("v", 2)])
        self.assertEqual((result.errors, [d["missing_vectors"] for d in result.documents]), ({}, [["v"]] * 3 + [[]]))


class Cells(unittest.TestCase):
    def test_a_cell_that_raises_when_it_is_compared_counts_as_changed(self) -> None:
        manifest = MANIFEST + "output_schema = {'label': {}}\n"
        step = TENSOR + "def step(batch):\n    batch['label'] = [Tensor([1, 2]) if text == 'bad' else 'x' for text in batch['text']]\n    return batch\n"
        rows = [{**row, "label": "old"} for row in texts("a", "bad", "c")]
        result = run(step, rows, manifest=manifest)
        self.assertEqual((result.rows, result.fields), ([0, 2], [{"label": "x"}, {"label": "x"}]))
        self.assertIn("label is a plugin_", result.errors[1]["message"])

    def test_a_cell_that_raises_when_it_is_looked_at_fails_its_row_with_the_authors_frames(self) -> None:
        step = """
class Word(str):
    def __eq__(self, other): return False
    __hash__ = str.__hash__
    def __ne__(self, other): raise SystemExit('not to be compared')
class Number(int):
    def __int__(self): raise KeyError('no number')
    def __index__(self): raise KeyError('no number')
class Isoformat(__import__('datetime').datetime):
    def isoformat(self, *args): raise LookupError('no such day')
def step(batch):
    batch['when'] = pd.Series([Isoformat(2024, 1, 2) if text == 'bad' else 1 for text in batch['text']], dtype=object)
    return batch
"""
        result = run(step, texts("a", "bad", "c"))
        self.assertEqual((result.rows, sorted(result.errors)), ([0, 2], [1]))
        self.assertIn("no such day", result.errors[1]["message"])

    def test_numbers_and_times_of_every_width_are_stored(self) -> None:
        step = """
import datetime, enum, uuid
class Colour(enum.Enum): RED = 'red'
def step(batch):
    batch['v'] = pd.Series([np.longdouble(1.5), np.array([1.5], dtype=np.longdouble), np.array('2024-01-02', dtype='M8[ns]'),
        np.array(['2024-01-02', 'NaT'], dtype='M8[ns]'), {'from': np.datetime64('NaT', 'D'), 'to': np.datetime64('1970-01-01')}, np.array([5], dtype='m8[s]'), np.array(7), np.ma.masked,
        pd.Timedelta(days=1), np.datetime64('NaT'), uuid.UUID(int=1), Colour.RED, datetime.time(1, tzinfo=datetime.timezone.utc),
        np.arange(4).reshape(2, 2), np.array(['a', None], dtype=object)], dtype=object)
    if batch['text'][0] == 'beside':
        batch['w'] = [{1: 'a key that is no text'}] * len(batch)
    return batch
"""
        expected = [1.5, [1.5], "2024-01-02T00:00:00", ["2024-01-02T00:00:00", None], {"from": None, "to": "1970-01-01T00:00:00"}, ["5 seconds"], 7, None, "P1DT0H0M0S", None,
                    "00000000-0000-0000-0000-000000000001", "red", "01:00:00+00:00", [[0, 1], [2, 3]], ["a", None]]
        for first in ("alone", "beside"):
            with self.subTest(first):
                result = run(step, texts(first, *map(str, range(len(expected) - 1))))
                self.assertEqual((result.errors, [fields["v"] for fields in result.fields]), ({}, expected))

    def test_keys_that_are_one_in_json_are_an_error_and_lose_no_value(self) -> None:
        step = "def step(batch):\n    batch['v'] = [{1: 'a', '1': 'b'}, {1: 'a', '2': 'b'}, {'in': [{None: 1, 'null': 2}]}]\n    return batch\n"
        result = run(step, texts(*"abc"))
        self.assertEqual((result.rows, result.fields), ([1], [{"v": {"1": "a", "2": "b"}}]))
        self.assertIn("v has keys that are one and the same", result.errors[0]["message"])
        self.assertIn("v.in[0] has keys", result.errors[2]["message"])

    def test_a_truth_value_in_place_of_a_number_is_a_change(self) -> None:
        rows = [{"flag": 1, "n": 300}, {"flag": 0, "n": 1}, {"flag": 2, "n": 0}]
        step = "def step(batch):\n    batch['flag'] = batch['flag'].map({1: True, 0: False, 2: 2}).astype(object)\n    batch['n'] = batch['n'].astype(float)\n    return batch\n"
        self.assertEqual(run(step, rows).fields, [{"flag": True}, {"flag": False}, {}])

    def test_what_a_step_changes_inside_of_a_field_is_stored(self) -> None:
        step = "def step(batch):\n    for tags, text in zip(batch['tags'], batch['text']):\n        if text != 'b': tags.append(text)\n    return batch\n"
        rows = [{**row, "tags": ["t"]} for row in texts(*"abc")]
        self.assertEqual(run(step, rows).fields, [{"tags": ["t", "a"]}, {}, {"tags": ["t", "c"]}])
        self.assertEqual(steps_of(step, rows, "[step, lambda batch: batch]").fields, [{"tags": ["t", "a"]}, {}, {"tags": ["t", "c"]}])


if __name__ == "__main__":
    unittest.main()
