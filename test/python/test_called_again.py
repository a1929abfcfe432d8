"""Rows that a step is given more than once, and results that wait while it is called again: each is what it would be by itself."""

import os
import random
import unittest
from typing import Any

from support import MANIFEST, Message, WorkerProcess, plugin_of
from test_batch import HEAD, texts
from test_unusual_results import steps_of


class Kept(unittest.TestCase):
    """A processor that writes to memory which it has handed out before."""

    REUSES = """
class Frame:
    def __init__(self, config): self.out = None
    def __call__(self, batch):
        if self.out is None or len(self.out) != len(batch):
            self.out = batch.copy()
        for name in batch.columns:
            self.out[name] = batch[name].tolist()
        self.out['n'] = batch['text'].tolist()
        return self.out
class Buffer:
    def __init__(self, config): self.buffer = np.zeros((8, 2), dtype=np.float32)
    def __call__(self, batch):
        rows = self.buffer[:len(batch)]
        rows[:] = np.array(batch['text'].tolist(), dtype=np.float32)[:, None]
        batch['v'] = list(rows)
        return batch
class Rest:
    def __init__(self, config): pass
    def __call__(self, batch):
        batch['done'] = True
        return batch
def steps_of(*classes, kind=ResourceType.GPU):
    return [StepDefinition(service_class=c, resource_type=kind) for c in classes]
"""

    def test_rows_of_its_earlier_calls_stay_what_they_were(self) -> None:
        numbers = list(map(str, range(40)))
        for steps in ("steps_of(Frame, Rest)", "steps_of(Buffer, Rest)", "steps_of(Rest, Frame)", "steps_of(Frame, kind=ResourceType.API)", "steps_of(Buffer, kind=ResourceType.API)"):
            with self.subTest(steps):
                manifest = MANIFEST + "compute_profile = {'batch_size': 8, 'max_concurrency': 1}\n"
                result = steps_of(self.REUSES, texts(*numbers), steps, [("v", 2)], manifest)
                self.assertEqual((result.reply["type"], result.errors), ("partition_done", {}), result.reply)
                if "Frame" in steps:
                    self.assertEqual([fields["n"] for fields in result.fields], numbers)
                else:
                    self.assertEqual(result.vectors["v"][:, 0].tolist(), list(map(float, numbers)))


class CalledAgain(unittest.TestCase):
    """Rows beside one that fails are called once more, and must not see what the failed call did to them."""

    STEPS = """
class Read:
    def __init__(self, config): pass
    def __call__(self, batch):
        for meta, tags in zip(batch['meta'], batch['tags']):
            tags.append('read')
            if meta.pop('raw') == 'bad': raise ValueError('bad')
        batch['seen'] = [dict(m, tags=list(t)) for m, t in zip(batch['meta'], batch['tags'])]
        return batch
class Make:
    def __init__(self, config): pass
    def __call__(self, batch):
        batch['made'] = [{'raw': meta['raw'], 'in': [[1]]} for meta in batch['meta']]
        batch['vector'] = [np.zeros(2) for _ in batch['meta']]
        return batch
class Use:
    def __init__(self, config): pass
    def __call__(self, batch):
        for made, vector in zip(batch['made'], batch['vector']):
            vector += 1
            made['in'][0].append(2)
            if made.pop('raw') == 'bad': raise ValueError('bad')
        batch['seen'] = [[made, vector] for made, vector in zip(batch['made'], batch['vector'])]
        return batch.drop(columns=['made', 'vector'])
class Drop:
    def __init__(self, config): pass
    def __call__(self, batch): return batch.drop(columns=['meta', 'tags'])
"""

    def rows(self) -> list[Message]:
        return [{**row, "meta": {"raw": "bad" if n == 7 else "x", "deep": {"n": n}}, "tags": []} for n, row in enumerate(texts(*map(str, range(20))))]

    def check(self, steps: str, expected: Any) -> None:
        for kind in ("CPU", "API"):
            made = f"[StepDefinition(service_class=c, resource_type=ResourceType.{kind}) for c in ({steps}, Drop)]"
            with self.subTest(kind):
                result = steps_of(self.STEPS, self.rows(), made)
                self.assertEqual((result.reply["type"], sorted(result.errors)), ("partition_done", [7]), result.errors or result.reply)
                self.assertEqual([fields["seen"] for fields in result.fields], [expected(n) for n in range(20) if n != 7])

    def test_of_the_input(self) -> None:
        self.check("Read", lambda n: {"deep": {"n": n}, "tags": ["read"]})

    def test_of_what_an_earlier_step_made(self) -> None:
        self.check("Make, Use", lambda n: [{"in": [[1, 2]]}, [1.0, 1.0]])

    def test_of_a_literal_input_that_all_rows_have(self) -> None:
        from plugin_worker.object_rows import _constant

        one, other = _constant({"a": []})([None, None])  # type: ignore[arg-type]
        one["a"].append(1)
        self.assertEqual(other, {"a": []})

    def test_of_a_service_that_did_not_answer(self) -> None:
        step = """
class Ask:
    tried = 0
    def __init__(self, config): pass
    async def __call__(self, batch):
        Ask.tried += 1
        asked = [meta.pop('raw') for meta in batch['meta']]
        if Ask.tried == 1: raise ConnectionError('try again')
        batch['asked'] = asked
        return batch.drop(columns=['meta', 'tags'])
"""
        result = steps_of(step, self.rows()[:3], "[StepDefinition(service_class=Ask, resource_type=ResourceType.API)]", manifest=MANIFEST + "compute_profile = {'max_concurrency': 1}\n")
        self.assertEqual((result.errors, [fields["asked"] for fields in result.fields]), ({}, ["x", "x", "x"]))


# What a step does with one row; `{n}` is its number. Each may be done twice to the same cells if a call that failed left its marks.
ROW_CHANGES = [
    "tags.append({n})",
    "meta['steps'] = meta.get('steps', 0) + 1",
    "meta['deep'].setdefault('list', []).append({n})",
    "vector += {n}",
    "tags[:] = [tag for tag in tags for _ in range(2)]",
    "label = label + str({n})",
    "vector = vector * 2",
    "meta = dict(meta, last={n})",
]


class Exactly(unittest.TestCase):
    def plugin(self, draw: random.Random, steps: int) -> str:
        text = ""
        for n in range(1, steps + 1):
            changes = "\n            ".join(change.format(n=n) for change in draw.sample(ROW_CHANGES, 3))
            text += f"""
class Step{n}:
    def __init__(self, config): pass
    def __call__(self, batch):
        columns = ['tags', 'meta', 'vector', 'label']
        if 'vector' not in batch:
            batch['vector'] = [np.ones(2) for _ in range(len(batch))]
            batch['label'] = batch['text']
        rows = []
        for text, tags, meta, vector, label in zip(batch['text'], *(batch[name] for name in columns)):
            {changes}
            if int(text) % 11 == {n}: raise ValueError(text)
            rows.append((tags, meta, vector, label))
        for name, cells in zip(columns, zip(*rows)):
            batch[name] = pd.Series(cells, dtype=object)
        return batch
"""
        return text

    def test_documents_and_errors_do_not_depend_on_how_many_rows_a_call_has(self) -> None:
        draw = random.Random(int(os.environ.get("SEED", "5")))
        rows = [{"text": str(n), "mime_type": "text/plain", "tags": [n], "meta": {"deep": {}}} for n in range(50)]
        for round in range(3):
            steps = draw.randint(1, 4)
            text = self.plugin(draw, steps)
            seen = []
            for kind, sizes in (("CPU", (1, 7, None)), ("API", (9,))):
                made = f"[StepDefinition(service_class=globals()[f'Step{{n}}'], resource_type=ResourceType.{kind}) for n in range(1, {steps + 1})]"
                with WorkerProcess(plugin_of(HEAD + text + f"\nsteps = {made}\n")) as worker:
                    worker.build()
                    for size in sizes:
                        result = worker.run(rows, [("vector", 2)], batch_rows=size)
                        errors = {row: (error["exception"], error["message"], error["stage"]) for row, error in result.errors.items()}
                        seen.append((result.fields, result.vectors["vector"].tolist(), errors))
                        with self.subTest(round=round, size=size, kind=kind, steps=text):
                            self.assertEqual(seen[-1], seen[0])


if __name__ == "__main__":
    unittest.main()
