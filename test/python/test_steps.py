"""Pipelines in all their spellings: build_steps and extract, conditions, batch sizes, constructors, prepare, realtime."""

import os
import tempfile
import unittest
from typing import Any

from support import MANIFEST, WorkerProcess, plugin_of

HEAD = "from engine.plugins.extractors.pipeline import *\nimport pandas as pd\n"

MARK = """
class Mark:
    def __init__(self, config): self.column = config
    def __call__(self, batch):
        print(self.column, len(batch))
        batch[self.column] = len(batch)
        return batch
"""


def pipeline(text: str, manifest: str = MANIFEST) -> dict[str, str]:
    return {"manifest.py": manifest, "pipeline.py": HEAD + MARK + text}


def rows(*mime_types: str | None) -> list[dict[str, Any]]:
    return [{"mime_type": mime_type, "data": str(index)} for index, mime_type in enumerate(mime_types)]


class Spellings(unittest.TestCase):
    def test_every_spelling_gives_a_step_that_runs(self) -> None:
        step = "StepDefinition(service_class=Mark, resource_type=ResourceType.CPU, config='m')"
        wrapped = f"build_pipeline_steps(PipelineDefinition(name='x', version='1', steps=[{step}]))"
        cases = [
            f"def build_steps(extractor_request, container=None, base_steps=None, **kwargs):\n    assert kwargs['dataset_size'] == 10\n    return {{'steps': (base_steps or []) + {wrapped}, 'prepare': lambda ds: ds}}",
            f"def build_steps(extractor_request, **kwargs):\n    assert kwargs['container'] is not None\n    return {{'steps': {wrapped}}}",
            f"def build_steps(extractor_request=None, container=None, base_steps=None, dataset_size=None, content_flags=None):\n    return {{'steps': {wrapped}}}",
            f"def build_steps(request):\n    assert request.params == request.parameters == request.extractor_config.parameters == {{'a': 1}}\n    return {{'steps': {wrapped}}}",
            f"def build_steps(extractor_request):\n    assert extractor_request.feature_extractor_name == 'my_extractor'\n    return {{'steps': [{step}]}}",
            "def build_steps(extractor_request):\n    return {'steps': [Mark('m')]}",
            "def build_steps():\n    return {'steps': [lambda df: df.assign(m=len(df))]}",
            f"def extract(extractor_request, base_steps=None, dataset_size=None, content_flags=None):\n    from types import SimpleNamespace\n    return SimpleNamespace(steps={wrapped}, prepare=lambda ds: ds)",
        ]
        for text in cases:
            with self.subTest(text), WorkerProcess(pipeline(text)) as worker:
                built = worker.build({"a": 1})
                self.assertEqual(built["type"], "steps_built", built)
                self.assertEqual(worker.run(rows("text/plain", None)).fields, [{"m": 2}, {"m": 2}])

    def test_what_build_steps_must_not_return_is_said(self) -> None:
        cases = {
            "def build_steps(**kwargs): return None": 'with a list under "steps", not a NoneType',
            "def build_steps(**kwargs): return {}": 'with a list under "steps", not one without',
            "def build_steps(**kwargs): return {'steps': [3]}": "StepDefinition or callable",
            "def build_steps(**kwargs): return {'steps': [], 'prepare': 3}": "prepare",
            "x = 1": "neither build_steps nor extract",
            "def build_steps(**kwargs): return {'steps': [StepDefinition(Mark, 'tpu')]}": "ResourceType",
        }
        for text, expected in cases.items():
            with self.subTest(text), WorkerProcess(pipeline(text)) as worker:
                error = worker.build()["error"]
                self.assertEqual(error["error_type"], "validation")
                self.assertIn(expected, error["message"])

    def test_constructors_are_called_the_way_they_are_written(self) -> None:
        cases = {
            "def __init__(self, config, progress_actor=None)": "config",
            "def __init__(self, config=None, **kwargs)": "config",
            "def __init__(self, config, secrets=None)": "config",
            "def __init__(self, cfg)": "cfg",
            "def __init__(self, *, config)": "config",
            "def __init__(self, **kwargs)": "kwargs['config']",
        }
        for signature, value in cases.items():
            text = f"class P:\n    {signature}:\n        self.value = {value}\n    def __call__(self, batch):\n        batch['v'] = self.value\n        return batch\nsteps = [StepDefinition(service_class=P, config=7)]"
            with self.subTest(signature), WorkerProcess(plugin_of(HEAD + text)) as worker:
                worker.build()
                self.assertEqual(worker.run(rows(None)).fields, [{"v": 7}])


class Conditions(unittest.TestCase):
    def test_rows_that_do_not_match_keep_their_place_with_null_columns(self) -> None:
        text = "steps = build_pipeline_steps(PipelineDefinition('x', '1', [StepDefinition(Mark, ResourceType.API, 'audio', RowCondition.IS_AUDIO), StepDefinition(Mark, ResourceType.CPU, 'all'), StepDefinition(Mark, ResourceType.CPU, 'never', RowCondition.IS_PDF), StepDefinition(Mark, ResourceType.CPU, 'off', enabled=False)]))"
        with WorkerProcess(plugin_of(HEAD + MARK + text)) as worker:
            built = worker.build()
            result = worker.run(rows("audio/mpeg", "text/plain", None, "AUDIO/wav; rate=8000"))
            self.assertNotIn("never", worker.printed())
        self.assertEqual([step["condition"] for step in built["steps"]], ["is_audio", "always", "is_pdf"])
        self.assertEqual([step["resource_type"] for step in built["steps"]], ["api", "cpu", "cpu"])
        self.assertEqual(
            result.fields,
            [{"audio": 1, "all": 4}, {"audio": None, "all": 4}, {"audio": None, "all": 4}, {"audio": 1, "all": 4}],
        )

    def test_the_same_holds_for_the_last_step_and_its_vectors(self) -> None:
        text = "def embed(batch):\n    batch['v'] = [[1.0, 2.0]] * len(batch)\n    batch['n'] = 1\n    return batch\nclass E:\n    def __call__(self, batch): return embed(batch)\nsteps = [StepDefinition(E, ResourceType.CPU, None, RowCondition.IS_IMAGE)]"
        with WorkerProcess(plugin_of(HEAD + text)) as worker:
            worker.build()
            result = worker.run(rows("text/plain", "image/png"), [("v", 2)])
        self.assertEqual(result.fields, [{"n": None}, {"n": 1}])
        self.assertEqual(result.vectors["v"].tolist(), [[0, 0], [1, 2]])
        self.assertEqual([document["missing_vectors"] for document in result.documents], [["v"], []])

    def test_a_row_that_fails_in_the_first_step_does_not_reach_the_second(self) -> None:
        text = "def first(batch):\n    if '1' in batch['data'].tolist(): raise ValueError('one')\n    return batch\ndef second(batch):\n    assert '1' not in batch['data'].tolist()\n    batch['ok'] = 1\n    return batch\nsteps = [first, second]"
        with WorkerProcess(plugin_of(HEAD + text)) as worker:
            worker.build()
            result = worker.run(rows(None, None, None))
        self.assertEqual((result.rows, list(result.errors)), ([0, 2], [1]))


class BatchSizes(unittest.TestCase):
    def sizes(self, step: str, count: int, manifest: str = MANIFEST, size: int = 1) -> list[int]:
        with WorkerProcess(plugin_of(HEAD + MARK + f"steps = [{step}]", manifest)) as worker:
            worker.build()
            worker.run([{"data": "x" * size} for _ in range(count)])
            return [int(line.split()[1]) for line in worker.printed().splitlines()]

    def test_the_resource_type_sets_the_size(self) -> None:
        self.assertEqual(self.sizes("StepDefinition(Mark, ResourceType.CPU, 'm')", 150), [64, 64, 22])
        self.assertEqual(self.sizes("StepDefinition(Mark, ResourceType.GPU, 'm')", 20), [8, 8, 4])
        self.assertEqual(sorted(self.sizes("StepDefinition(Mark, ResourceType.API, 'm')", 70)), [7, *[9] * 7])
        self.assertEqual(sorted(self.sizes("StepDefinition(Mark, ResourceType.API, 'm')", 70 * 8)), [48, *[64] * 8])

    def test_the_compute_profile_overrides_it(self) -> None:
        manifest = MANIFEST + "compute_profile = {'batch_size': 50}\n"
        self.assertEqual(self.sizes("StepDefinition(Mark, ResourceType.GPU, 'm')", 120, manifest), [50, 50, 20])

    def test_a_plain_callable_gets_1024_rows_or_8_mib(self) -> None:
        self.assertEqual(self.sizes("Mark('m')", 2000), [1024, 976])
        self.assertEqual(self.sizes("Mark('m')", 5, size=3 * 1024 * 1024), [2, 2, 1])


class Prepare(unittest.TestCase):
    def test_it_may_filter_map_or_treat_the_dataset_as_a_frame(self) -> None:
        keep = "def keep(batch):\n    batch['d'] = batch['data']\n    return batch\n"
        cases = {
            "lambda ds: ds": (["0", "1", "2"], []),
            "lambda ds: ds.filter(lambda row: row['data'] != '1')": (["0", "2"], [1]),
            "lambda ds: ds.map(lambda row: {**row, 'data': row['data'] + '!'})": (["0!", "1!", "2!"], []),
            "lambda ds: ds.map_batches(lambda df: df.assign(data='z'))": (["z", "z", "z"], []),
            "lambda ds: ds[ds['data'] != '1'].reset_index(drop=True)": (["0", "2"], [1]),
        }
        for prepare, (values, failed) in cases.items():
            text = keep + f"def build_steps(**kwargs):\n    return {{'steps': [keep], 'prepare': {prepare}}}"
            with self.subTest(prepare), WorkerProcess(pipeline(text)) as worker:
                worker.build()
                result = worker.run(rows(None, None, None))
                self.assertEqual([fields["d"] for fields in result.fields], values)
                self.assertEqual(list(result.errors), failed)


class Assets(unittest.TestCase):
    def test_a_row_that_names_a_file_of_this_machine_does_not_get_it(self) -> None:
        text = """
from shared.plugins import download_asset, open_asset
import os, tempfile
def read(batch):
    sizes = []
    for url in batch["data"]:
        if url.startswith("own:"):
            handle, url = tempfile.mkstemp()
            os.close(handle)
        with open_asset(url) as path:
            sizes.append(os.path.getsize(path))
    batch["size"] = sizes
    return batch
steps = [read]
"""
        with tempfile.TemporaryDirectory() as root, WorkerProcess(plugin_of(HEAD + text)) as worker:
            os.symlink("/etc/passwd", os.path.join(root, "link"))
            worker.build()
            urls = ["own:", "/etc/passwd", "file:///etc/passwd", os.path.join(root, "link"), f"{root}/../../etc/passwd"]
            result = worker.run([{"data": url} for url in urls], asset_roots={"bkt_1": root})
        self.assertEqual(result.fields, [{"size": 0}])
        self.assertEqual({row: error["exception"] for row, error in result.errors.items()}, dict.fromkeys(range(1, 5), "ValueError"))

    def test_a_binary_row_is_read_through_its_asset_url(self) -> None:
        text = """
from shared.plugins import download_asset, open_asset
import os
def read(batch):
    sizes = []
    for url in batch["data"]:
        path, temporary = download_asset(url, suffix=".bin")
        assert temporary and path.endswith(".bin") and path.startswith(os.environ["TMPDIR"])
        os.unlink(path)
        with open_asset(url) as path:
            sizes.append(os.path.getsize(path))
    batch["size"] = sizes
    return batch
steps = [read]
"""
        digest = "ab" * 32
        with tempfile.TemporaryDirectory() as root, WorkerProcess(plugin_of(HEAD + text)) as worker:
            os.makedirs(os.path.join(root, "ab"))
            with open(os.path.join(root, "ab", digest), "wb") as blob:
                blob.write(b"12345")
            worker.build()
            urls = [
                f"s3://bkt_1/{digest}",
                f"s3://bkt_2/{digest}",
                "s3://bkt_1/../../etc/passwd",
                f"s3://bkt_1/{'cd' * 32}",
            ]
            result = worker.run([{"data": url} for url in urls], asset_roots={"bkt_1": root})
        self.assertEqual(result.fields, [{"size": 5}])
        self.assertIn("bkt_2", result.errors[1]["message"])
        self.assertEqual(result.errors[2]["exception"], "ValueError")
        self.assertEqual(result.errors[3]["exception"], "FileNotFoundError")


class Realtime(unittest.TestCase):
    def test_the_handler_is_found_and_called_in_each_form(self) -> None:
        base = "from shared.plugins.inference.serve import BaseInferenceService\n"
        cases = {
            "RealtimeHandler": "class RealtimeHandler:\n    def predict(self, request): return {'embedding': [len(request['text'])]}",
            "get_inference_service": "class S:\n    def __call__(self, inputs, parameters): return {'embedding': [len(inputs['text'])]}\ndef get_inference_service(**kwargs): return S()",
            "BaseInferenceService": base
            + "class Any(BaseInferenceService):\n    async def run_inference(self, inputs, parameters): return {'embedding': [len(inputs['text'])]}\n    async def __call__(self, inputs, parameters): return await self.run_inference(inputs, parameters)",
            "InferenceService": "class MyInferenceService:\n    def __init__(self, size=3): self.size = size\n    async def __call__(self, inputs, parameters): return {'embedding': [self.size]}",
        }
        for form, text in cases.items():
            with self.subTest(form), WorkerProcess({"manifest.py": MANIFEST, "realtime.py": text}) as worker:
                overlaps = "async def" in text
                self.assertEqual(
                    worker.ask({"type": "construct_realtime"}),
                    {"type": "realtime_constructed", "form": form, "batches": False, "overlaps": overlaps},
                )
                for request in ({"text": "abc"}, {"inputs": {"text": "abc"}, "parameters": {}}):
                    reply = worker.ask({"type": "predict", "request": request})
                    self.assertEqual(reply, {"type": "predicted", "response": {"embedding": [3]}})

    def test_a_failing_constructor_and_a_wrong_answer_are_failures(self) -> None:
        with WorkerProcess(
            {"realtime.py": "class RealtimeHandler:\n    def __init__(self): raise OSError('no weights')"}
        ) as worker:
            error = worker.ask({"type": "construct_realtime"})["error"]
            self.assertEqual(
                (error["exception"], error["message"], error["stage"]), ("OSError", "no weights", "realtime")
            )
        with WorkerProcess(
            {"realtime.py": "class RealtimeHandler:\n    def predict(self, request): return 3"}
        ) as worker:
            worker.ask({"type": "construct_realtime"})
            self.assertIn("must answer a dict", worker.ask({"type": "predict", "request": {}})["error"]["message"])


if __name__ == "__main__":
    unittest.main()
