"""What steps return that is unusual: each row keeps what is its own, and what cannot be taken fails the row that it is about, alone."""

import unittest

from support import MANIFEST, Message, Result, WorkerProcess, plugin_of
from test_batch import HEAD, run, texts


def steps_of(text: str, rows: list[Message], steps: str, features: list[tuple[str, int]] | None = None, manifest: str = MANIFEST) -> Result:
    with WorkerProcess(plugin_of(HEAD + text + f"\nsteps = {steps}\n", manifest)) as worker:
        built = worker.build()
        assert built["type"] == "steps_built", built
        return worker.run(rows, features)


class Frames(unittest.TestCase):
    def test_a_result_that_cannot_be_taken_costs_the_row_that_it_is_about_alone(self) -> None:
        bodies = {
            "return pd.DataFrame([{'n': t} for t in batch['text'] if t != 'bad'])": "RowMissing",
            "return pd.DataFrame([{'n': t} for t in batch['text'] for _ in range(1 + (t == 'bad'))])": "returned 2 rows for 1",
            "return None if 'bad' in batch['text'].tolist() else batch.assign(n=batch['text'])": "returned None",
            "r = batch.assign(n=batch['text'])\n    return r.rename(columns={'n': 3}) if 'bad' in r['text'].tolist() else r": "not all strings: 3",
        }
        for kind in ("none", "api"):
            manifest = MANIFEST + (f"compute_profile = {{'resource_type': 'api', 'batch_size': 16}}\n" if kind == "api" else "")
            for body, expected in bodies.items():
                with self.subTest(body, kind=kind):
                    result = run(f"def step(batch):\n    {body}\n", texts(*["bad" if n == 5 else str(n) for n in range(40)]), manifest=manifest)
                    self.assertEqual((result.rows, sorted(result.errors)), ([n for n in range(40) if n != 5], [5]))
                    self.assertEqual([fields["n"] for fields in result.fields], [str(n) for n in range(40) if n != 5])
                    self.assertIn(expected, result.errors[5]["exception"] + result.errors[5]["message"])

    def test_rows_of_an_earlier_call_are_not_taken_for_those_of_this_one(self) -> None:
        step = """
class Late:
    last = None
    def __call__(self, batch):
        batch['n'] = batch['text']
        self.last, result = batch, self.last
        return batch if result is None else result
step = StepDefinition(service_class=Late, resource_type=ResourceType.GPU)
"""
        result = run(step, texts(*map(str, range(16))))
        self.assertEqual([fields["n"] for fields in result.fields], [str(row) for row in result.rows])
        self.assertIn("document_id of another row", result.errors[9]["message"])
        self.assertEqual(sorted([*result.rows, *result.errors]), list(range(16)))

    def test_ids_of_the_plugins_own_match_by_position(self) -> None:
        step = "def step(batch):\n    batch['n'] = batch['text']\n    batch['document_id'] = ['own ' + t for t in batch['text']]\n    return batch\n"
        self.assertEqual([fields["n"] for fields in run(step, texts("a", "b")).fields], ["a", "b"])

    def test_a_frame_of_another_library_is_named_with_it(self) -> None:
        step = "class DataFrame: pass\ndef step(batch):\n    return DataFrame()\n"
        self.assertRegex(run(step, texts("a")).errors[0]["message"], r"returned a plugin_\S+\.DataFrame; it must return a pandas DataFrame")

    def test_a_frame_that_raises_when_it_is_looked_at_fails_its_row(self) -> None:
        step = """
class Frame(pd.DataFrame):
    def __len__(self):
        raise OSError('gone')
class Name(str):
    def __eq__(self, other): raise ValueError('no name')
    def __hash__(self): return 1
class Odd:
    def __repr__(self): raise ValueError('no repr')
def step(batch):
    if 'bad' not in batch['text'].tolist():
        return batch.assign(n=batch['text'])
    return [lambda: Frame(batch), lambda: batch.assign(x=1).rename(columns={'x': Odd()})][int(batch['text'].tolist().count('1'))]()
"""
        for other in ("0", "1"):
            result = steps_of(step, texts("bad", "fine"), "[step]")
            self.assertEqual((result.rows, sorted(result.errors)), ([1], [0]))

    def test_attributes_of_a_frame_and_labels_of_its_rows_reach_no_neighbour(self) -> None:
        step = """
def step(batch):
    batch['n'] = batch['text']
    batch.attrs['means'] = np.arange(3)
    batch.attrs['client'] = (x for x in ())
    batch.index = pd.MultiIndex.from_tuples([('a', 'b')] * len(batch))
    return batch
class Small:
    def __init__(self, config): pass
    def __call__(self, batch): return step(batch)
steps_ = [StepDefinition(service_class=Small, resource_type=ResourceType.GPU) for _ in range(3)]
"""
        result = steps_of(step, texts(*map(str, range(20))), "steps_")
        self.assertEqual((result.reply["type"], result.errors), ("partition_done", {}), result.reply)
        self.assertEqual([fields["n"] for fields in result.fields], list(map(str, range(20))))


if __name__ == "__main__":
    unittest.main()
