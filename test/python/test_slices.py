"""A slice as steps get it, and the fields of its documents as they leave."""

import json
import math
import unittest
import unittest.mock
from typing import Any

import support  # noqa: F401  the worker's own modules on the path

import numpy as np
import pandas as pd
from plugin_worker.fields import ABSENT, encode_rows
from plugin_worker.partition_input import FrameBuilder, Slice


def fields_of(names: list[str], *columns: list[Any], gaps: bool = False) -> list[Any]:
    texts, errors = encode_rows(names, columns, len(columns[0]), gaps)
    assert not errors, errors
    return [json.loads(text) for text in texts.to_pylist()]


def frame_of(**columns: list[Any]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    return FrameBuilder(()).frame(Slice(list(range(rows)), dict(columns), [0] * rows, lambda origins: {}))


class FieldsOfDocuments(unittest.TestCase):
    def test_are_those_of_their_row_whatever_braces_commas_and_brackets_its_texts_hold(self) -> None:
        texts = ["plain", "},{", '{"a":1},{', "}", "[", '","', '"}', "\\", "", "ü},{é"]
        for some in ([text] for text in texts):
            self.assertEqual(fields_of(["a"], some + ["x"]), [{"a": some[0]}, {"a": "x"}])
        numbers = list(range(len(texts)))
        self.assertEqual(
            fields_of(["a", "n"], texts, numbers), [{"a": text, "n": number} for text, number in zip(texts, numbers)]
        )

    def test_keep_the_order_and_number_of_rows_of_many(self) -> None:
        labels = [f"label {place}" for place in range(5000)]
        self.assertEqual(fields_of(["label"], labels), [{"label": label} for label in labels])

    def test_of_one_row_with_a_value_inside_another_do_not_change_those_beside_it(self) -> None:
        cells: list[Any] = ["a", {"b": [1, {"c": None}]}, np.float32(0.5), math.nan]
        self.assertEqual(
            fields_of(["v"], cells), [{"v": "a"}, {"v": {"b": [1, {"c": None}]}}, {"v": 0.5}, {"v": None}]
        )

    def test_lack_what_their_row_lacks(self) -> None:
        self.assertEqual(fields_of(["a", "b"], [1, 2], [ABSENT, "x"], gaps=True), [{"a": 1}, {"a": 2, "b": "x"}])

    def test_are_empty_where_there_is_no_column(self) -> None:
        texts, errors = encode_rows([], [], 3)
        self.assertEqual((texts.to_pylist(), errors), (["{}"] * 3, {}))

    def test_that_cannot_be_written_are_an_error_of_their_row_alone(self) -> None:
        texts, errors = encode_rows(["v"], [["a", object(), "b"]], 3)
        self.assertEqual([json.loads(text) if text else None for text in texts.to_pylist()], [{"v": "a"}, None, {"v": "b"}])
        self.assertEqual(list(errors), [1])


class AFrame(unittest.TestCase):
    def test_has_numbers_as_numbers_in_their_place_and_all_else_as_objects(self) -> None:
        frame = frame_of(a=["x", None], n=[1, 2], lists=[[1], [2, 3]], f=[1, None], flag=[True, False], big=[2**70, 1])
        own = ["a", "n", "lists", "f", "flag", "big"]
        self.assertEqual([name for name in frame.columns if name in own], own)
        self.assertEqual(
            {name: str(frame[name].dtype) for name in own},
            {"a": "object", "n": "int64", "lists": "object", "f": "float64", "flag": "bool", "big": "object"},
        )
        self.assertEqual(frame["lists"].tolist(), [[1], [2, 3]])
        self.assertEqual(frame["a"].tolist(), ["x", None])

    def test_of_many_columns_of_numbers_is_the_same_and_warns_of_nothing(self) -> None:
        columns = {f"n{place}": [place, place + 1] for place in range(150)} | {"text": ["x", None]}
        with self.subTest("no warning"), unittest.mock.patch("warnings.warn") as warned:
            frame = frame_of(**columns)
            warned.assert_not_called()
        own = frame[list(columns)]
        self.assertEqual([str(kind) for kind in own.dtypes], ["int64"] * 150 + ["object"])
        self.assertEqual(own.to_dict("list"), columns)


if __name__ == "__main__":
    unittest.main()
