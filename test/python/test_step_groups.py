"""Step groups: what a plugin makes of its rows is the same in one worker and in several, whatever its steps hand on."""

import os
import random
import unittest
from typing import Any

from support import MANIFEST, Message, Result, WorkerProcess, plugin_of

HEAD = """
from engine.plugins.extractors.pipeline import *
import datetime, decimal, enum, json
import numpy as np
import pandas as pd

class Colour(enum.Enum):
    RED = 1

class Word(str): pass

class Point:
    def __init__(self, x): self.x = x
    def __repr__(self): return f"Point({self.x})"

def described(value):
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {value.flags.writeable} {value.tolist()!r}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} [{', '.join(map(described, value))}]"
    if isinstance(value, dict):
        return f"dict {{{', '.join(f'{k!r}: {described(v)}' for k, v in value.items())}}}"
    return f"{type(value).__name__} {value!r}"

def see(batch):
    names = [name for name in batch.columns if name != "seen"]
    kinds = " ".join(f"{name}:{batch[name].dtype}" for name in names)
    cells = zip(*(batch[name].tolist() for name in names)) if names else [()] * len(batch)
    seen = [kinds + " | " + "; ".join(map(described, row)) for row in cells]
    batch["seen"] = [str(a) + "\\n" + b for a, b in zip(batch["seen"], seen)] if "seen" in batch else seen
    return batch
"""

# Each makes a column, or changes one, in a way of its own. `{n}` is the step's number.
STEPS = [
    "batch['c{n}'] = list(range(len(batch)))",
    "batch['c{n}'] = pd.Series([None if i % 3 else i for i in range(len(batch))], dtype=object)",
    "batch['c{n}'] = pd.Series([2**70 + i for i in range(len(batch))], dtype=object)",
    "batch['c{n}'] = pd.Series([[float('nan'), None, -0.0, 1.5, float('inf')][i % 5] for i in range(len(batch))], dtype=object)",
    "batch['c{n}'] = np.arange(len(batch), dtype=np.{dtype})",
    "batch['c{n}'] = np.arange(len(batch)) % 2 == 0",
    "batch['c{n}'] = [['x', None, 'ü\\ud800', ''][i % 4] for i in range(len(batch))]",
    "batch['c{n}'] = [bytes([i % 256]) * 3 for i in range(len(batch))]",
    "batch['c{n}'] = [np.full(4, i, dtype=np.float32) for i in range(len(batch))]",
    "batch['c{n}'] = [None if i % 4 == 1 else np.full(4, i, dtype=np.float32) for i in range(len(batch))]",
    "shared = np.ones(3, dtype=np.float32)\n    batch['c{n}'] = [shared] * len(batch)",
    "batch['c{n}'] = [np.full((2, 2), i, dtype=np.uint8) for i in range(len(batch))]",
    "batch['c{n}'] = [[float(i), 2.0] for i in range(len(batch))]",
    "batch['c{n}'] = [[i, 'a', {{'b': (i, None)}}] for i in range(len(batch))]",
    "batch['c{n}'] = [[1, 'a', None, 2.5, Word('w'), np.float64(3), True][i % 7] for i in range(len(batch))]",
    "batch['c{n}'] = [(i, [i]) for i in range(len(batch))]",
    "batch['c{n}'] = [{{1, 2}} if i % 2 else frozenset() for i in range(len(batch))]",
    "batch['c{n}'] = pd.to_datetime(['2024-01-01T00:00:00+02:00'] * len(batch))",
    "batch['c{n}'] = pd.Series(['a', 'b', 'c'] * len(batch))[: len(batch)].astype('category')",
    "batch['c{n}'] = pd.array([1, None] * len(batch), dtype='Int64')[: len(batch)]",
    "batch['c{n}'] = pd.Series(['s', None] * len(batch), dtype='string')[: len(batch)]",
    "batch['c{n}'] = [datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)] * len(batch)",
    "batch['c{n}'] = [[Colour.RED, Point(i), decimal.Decimal('1.10'), 1 + 2j][i % 4] for i in range(len(batch))]",
    "batch['c{n}'] = [pd.NaT if i % 2 else pd.NA for i in range(len(batch))]",
    "batch['text'] = batch['text'].fillna('none') + '!'",
    "[item.append({n}) for item in batch['tags'] if item is not None]",
    "[item.update(n={n}) for item in batch['meta'] if item is not None]",
    "batch['meta'] = [dict(item or {{}}, other={n}) for item in batch['meta']]",
    "batch = batch.drop(columns=['tags'], errors='ignore')",
    "batch = pd.concat([batch, batch]).sort_values('document_id', kind='stable')",
    "batch = batch[~batch['document_id'].isin(['doc_{n}'])]",
    "batch = batch.iloc[::-1]",
    "if '{n}' in ''.join(batch['document_id']): raise ValueError('a row with {n}')",
    "batch.index = [f'i{{i}}' for i in range(len(batch))]",
]
# What reads columns that an earlier step may have dropped fails then, and does so in one group as in several.


def plugin(numbers: list[int], conditions: list[str], batch_size: int) -> dict[str, str]:
    text = HEAD
    steps = []
    for at, (number, condition) in enumerate(zip(numbers, conditions)):
        dtype = ("int8", "uint64", "float16", "float32", "float64")[at % 5]
        text += f"def step_{at}(batch):\n    {STEPS[number].format(n=at, dtype=dtype)}\n    return see(batch)\n"
        text += f"class S{at}:\n    def __init__(self, config): pass\n    def __call__(self, batch): return step_{at}(batch)\n"
        steps.append(f"StepDefinition(service_class=S{at}, resource_type=ResourceType.CPU, condition=RowCondition.{condition})")
    # What has no JSON form would fail its row at the end, and then nothing that was seen could be compared.
    text += "def keep(batch):\n    return batch.drop(columns=[n for n in batch.columns if n[0] == 'c' and n[1:].isdigit()])\n"
    text += "class Keep:\n    def __init__(self, config): pass\n    def __call__(self, batch): return keep(see(batch))\n"
    steps.append("StepDefinition(service_class=Keep, resource_type=ResourceType.CPU)")
    manifest = MANIFEST + f"compute_profile = {{'batch_size': {batch_size}}}\ninput_schema = {{'text': {{}}}}\noutput_schema = {{'tags': {{}}}}\n"
    return plugin_of(text + f"steps = build_pipeline_steps(PipelineDefinition(name='x', version='1', steps=[{', '.join(steps)}]))", manifest)


def in_groups(
    workers: list[WorkerProcess], rows: list[Message], cuts: list[int], batch_rows: int | None = None
) -> tuple[Result, dict[int, Message]]:
    """The last group's result and the row errors of all; no group in the worker of the one before."""
    errors: dict[int, Message] = {}
    path: str | None = None
    for number, (first, end) in enumerate(zip(cuts, cuts[1:])):
        worker = workers[number % len(workers)]
        result = worker.run(rows, batch_rows=batch_rows, group={"first": first, "end": end, "rows": path})
        assert result.reply["type"] == "partition_done", result.reply
        assert not errors.keys() & result.errors.keys()
        errors.update(result.errors)
        path = os.path.join(result.directory, "rows.arrow")
    return result, errors


def sample_rows(count: int) -> list[Message]:
    return [
        {
            "text": None if i % 5 == 4 else f"text {i}",
            "mime_type": ("text/plain", "image/png")[i % 3 == 2],
            "tags": None if i % 7 == 6 else [i, "t"],
            "meta": {"a": {"b": i}},
            "year": None if i % 4 else i,
            "mixed": (i, "s", 1.5, None)[i % 4],
        }
        for i in range(count)
    ]


class Groups(unittest.TestCase):
    def test_documents_do_not_depend_on_how_steps_are_grouped(self) -> None:
        draw = random.Random(int(os.environ.get("SEED", "20")))
        order = draw.sample(range(len(STEPS)), len(STEPS))
        for round in range(0, len(order), 5):
            numbers = (order[round : round + 5] + order[:5])[:5]
            conditions = [draw.choice(["ALWAYS", "ALWAYS", "IS_TEXT", "IS_IMAGE"]) for _ in numbers]
            files = plugin(numbers, conditions, draw.choice([3, 8, 64]))
            rows = sample_rows(draw.choice([1, 17, 40]))
            with (
                self.subTest(steps=[STEPS[number] for number in numbers], conditions=conditions, rows=len(rows)),
                WorkerProcess(files) as one,
                WorkerProcess(files) as other,
            ):
                for worker in (one, other):
                    self.assertEqual(worker.build()["type"], "steps_built")
                whole, errors = in_groups([one], rows, [0, 6])
                cuts = [0, *sorted(draw.sample(range(1, 6), draw.randint(1, 5))), 6]
                parted, parted_errors = in_groups([other, one], rows, cuts)
                self.assertEqual(parted.documents, whole.documents)
                plain = lambda found: {row: (error["message"], error["stage"]) for row, error in found.items()}
                self.assertEqual(plain(parted_errors), plain(errors))
                self.assertEqual({*whole.rows, *errors}, set(range(len(rows))))

    def test_a_cell_that_cannot_be_pickled_fails_its_row_and_names_column_and_step(self) -> None:
        text = (
            HEAD
            + """
def make(batch):
    batch["made"] = [(lambda: 1) if "bad" in text else Point(text) for text in batch["text"]]
    return batch
def use(batch):
    batch["label"] = [repr(made) for made in batch["made"]]
    return batch.drop(columns=["made"])
steps = [make, use]
"""
        )
        with WorkerProcess(plugin_of(text)) as one, WorkerProcess(plugin_of(text)) as other:
            for worker in (one, other):
                worker.build()
            rows = [{"text": "bad" if row in (3, 599) else f"t{row}"} for row in range(600)]
            result, errors = in_groups([one, other], rows, [0, 1, 2])
        self.assertEqual(sorted(errors), [3, 599])
        self.assertEqual(errors[3]["stage"], "step make")
        self.assertEqual(errors[3]["error_type"], "runtime")
        self.assertIn("Column 'made' cannot be handed to the next step group", errors[3]["message"])
        self.assertEqual(result.rows, [row for row in range(600) if row not in errors])
        self.assertEqual(result.fields[5]["label"], "Point(t6)")

    def test_objects_shared_by_the_rows_of_one_input_row_stay_shared(self) -> None:
        text = (
            HEAD
            + """
def cut(batch):
    batch["part"] = [{"of": text} for text in batch["text"]]
    batch["vector"] = [np.zeros(2, dtype=np.float32) for _ in batch["text"]]
    return batch.loc[batch.index.repeat(3)]
def count(batch):
    for part in batch["part"]: part["count"] = part.get("count", 0) + 1
    for vector in batch["vector"]: vector += 1
    return batch
steps = [cut, count]
"""
        )
        with WorkerProcess(plugin_of(text)) as one, WorkerProcess(plugin_of(text)) as other:
            for worker in (one, other):
                worker.build()
            rows = [{"text": f"t{row}"} for row in range(300)]
            whole, _ = in_groups([one], rows, [0, 2])
            parted, _ = in_groups([other, one], rows, [0, 1, 2])
        self.assertEqual(parted.documents, whole.documents)
        self.assertEqual(parted.fields[0], {"part": {"of": "t0", "count": 3}, "vector": [3.0, 3.0]})

    def test_a_file_that_is_not_what_the_group_before_left_is_refused_as_a_whole(self) -> None:
        text = HEAD + "def first(batch):\n    batch['x'] = [(1,)] * len(batch)\n    return batch\nsteps = [first, lambda batch: batch]\n"
        rows = [{"text": f"t{row}"} for row in range(20)]
        with WorkerProcess(plugin_of(text)) as worker:
            worker.build()
            made = worker.run(rows, group={"first": 0, "end": 1, "rows": None})
            path = os.path.join(made.directory, "rows.arrow")
            with open(path, "rb") as file:
                whole = file.read()
            for what, damaged in (
                ("truncated", whole[: len(whole) // 2]),
                ("empty", b""),
                ("noise", random.Random(1).randbytes(5000)),
            ):
                with self.subTest(what):
                    with open(path, "wb") as file:
                        file.write(damaged)
                    reply = worker.run(rows, group={"first": 1, "end": 2, "rows": path}).reply
                    self.assertEqual(reply["type"], "failed", reply)
                    self.assertEqual(reply["error"]["error_type"], "runtime")
                    self.assertIn("step group before handed on cannot be read", reply["error"]["message"])
            with open(path, "wb") as file:
                file.write(whole)
            # More rows than the partition has: the file names some that were not asked.
            reply = worker.run(rows[:5], group={"first": 1, "end": 2, "rows": path}).reply
            self.assertIn("rows that were not asked", reply["error"]["message"])
            self.assertEqual(len(worker.run(rows, group={"first": 1, "end": 2, "rows": path}).documents), 20)
