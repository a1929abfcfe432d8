"""Imports inside a plugin: relative, by its own name, by bare sibling names; with and without __init__.py."""

import unittest

from support import MANIFEST, WorkerProcess

PIPELINE = """
from .manifest import version as relative
from manifest import version as sibling
from my_extractor.manifest import version as own_name
import manifest, my_extractor, my_extractor.manifest
from . import manifest as by_package
from processors.core import Core
from my_extractor.processors.core import Core as SameCore
from .processors.core import Core as RelativeCore
assert relative == sibling == own_name == "1.0.0"
assert manifest is by_package is my_extractor.manifest
assert Core is SameCore is RelativeCore, "a class exists once"
assert Core.__module__ == "plugin_0123456789abcdef.processors.core", Core.__module__

def build_steps(**kwargs):
    return {"steps": []}
"""


def files(**more: str) -> dict[str, str]:
    return {"manifest.py": MANIFEST, "pipeline.py": PIPELINE, "processors/core.py": "class Core: pass\n", **more}


class Imports(unittest.TestCase):
    def build(self, plugin: dict[str, str], name: str = "my_extractor") -> None:
        with WorkerProcess(plugin, name=name) as worker:
            reply = worker.build()
            self.assertEqual(reply["type"], "steps_built", reply)

    def fails(self, plugin: dict[str, str]) -> dict[str, str]:
        with WorkerProcess(plugin) as worker:
            reply = worker.build()
            self.assertEqual(reply["type"], "failed", reply)
            return reply["error"]

    def test_every_style_reaches_the_same_modules_without_init_files(self) -> None:
        self.build(files())

    def test_and_with_init_files(self) -> None:
        self.build(files(**{"__init__.py": "", "processors/__init__.py": "from .core import Core\n"}))

    def test_the_own_name_is_known_from_the_manifest_when_the_appliance_does_not_know_it(self) -> None:
        self.build(files(), name="")

    def test_a_sibling_never_shadows_the_standard_library_or_site_packages(self) -> None:
        plugin = files(**{"json.py": "raise SystemExit('shadowed')", "numpy.py": "raise SystemExit('shadowed')"})
        plugin["pipeline.py"] += "\nimport json, numpy\nassert json.dumps and numpy.zeros\n"
        self.build(plugin)

    def test_modules_in_a_zip_are_not_imported(self) -> None:
        plugin = files()
        plugin["pipeline.py"] += """
import os, sys, tempfile, zipfile
path = os.path.join(tempfile.mkdtemp(), "weights.bin")
with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("unscanned.py", "")
sys.path.insert(0, path)
try:
    import unscanned
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("imported from a zip")
"""
        self.build(plugin)

    def test_a_library_does_not_find_the_plugins_modules(self) -> None:
        plugin = files(**{"bottleneck.py": "raise SystemExit('a library imported the plugin')\n"})
        plugin["pipeline.py"] += "\nimport pandas\nassert pandas.DataFrame({'a': [1.0]}).sum()['a'] == 1\n"
        self.build(plugin)

    def test_bytecode_beside_the_source_is_not_code(self) -> None:
        error = self.fails(
            files(**{"__pycache__/evil.py": "", "pipeline.py": "from .hidden import x\n", "hidden.pyc": ""})
        )
        self.assertEqual((error["error_type"], error["exception"]), ("validation", "ModuleNotFoundError"))

    def test_a_missing_library_is_a_dependency_failure_with_its_name(self) -> None:
        error = self.fails(files(**{"pipeline.py": "def helper():\n    import torch_of_nowhere.nn\n\nhelper()\n"}))
        self.assertEqual(error["error_type"], "dependency")
        self.assertIn("torch_of_nowhere", error["message"])
        self.assertIn("pipeline.py, line 2, in helper", error["traceback"])

    def test_the_authors_frames_come_first_and_no_machine_path_is_shown(self) -> None:
        error = self.fails(files(**{"pipeline.py": "import json\njson.loads('{')\n"}))
        self.assertEqual(error["error_type"], "runtime")
        self.assertTrue(error["traceback"].startswith("pipeline.py, line 2, in <module>\n    json.loads('{')\n"))
        self.assertNotIn("plugin_worker", error["traceback"])
        self.assertNotIn(": /", error["traceback"])

    def test_a_syntax_error_names_file_and_line(self) -> None:
        error = self.fails(files(**{"processors/core.py": "class Core:\n    def x(:\n"}))
        self.assertEqual(error["error_type"], "validation")
        self.assertIn("processors/core.py, line 2", error["message"])

    def test_exit_at_import_is_a_failure(self) -> None:
        for text in ("raise SystemExit(0)", "import sys\nsys.exit()", "raise KeyboardInterrupt"):
            with self.subTest(text):
                self.assertEqual(self.fails(files(**{"pipeline.py": text}))["error_type"], "runtime")


class PublicSurface(unittest.TestCase):
    def test_everything_the_documentation_imports_is_there_and_constructs(self) -> None:
        surface = """
from engine.plugins.extractors.pipeline import PipelineDefinition, ResourceType, RowCondition, StepDefinition, build_pipeline_steps
from engine.inference.openai.whisper_api.services import WhisperConfig, WhisperTranscriptionBatch
from engine.inference.openai.whisper_api.models import WhisperConfig
from engine.inference.intfloat.multilingual_e5_large_instruct.services import E5Config, E5TextEmbeddingBatch
from engine.inference.intfloat.multilingual_e5_large_instruct.models import E5Config, InferenceConfigs
from engine.inference.services import BaseBatchInferenceService
from engine.models import LazyModelMixin, lazy_model, load_hf_model, load_namespace_model
from engine.models.lazy import LazyModelMixin, lazy_model
from engine.models.loader import is_hf_model_cached, load_hf_model, load_hf_model_async, load_namespace_model
from engine.services.container import ServiceContainer
from shared.inference.intfloat.multilingual_e5_large_instruct.models import InferenceConfigs
from shared.inference.registry import get_batch_service
from shared.models.loader import load_namespace_model
from shared.plugins import download_asset, open_asset
from shared.plugins.inference.batch import BaseBatchInferenceService
from shared.plugins.inference.serve import BaseInferenceService
from shared.plugins.sdk import concurrent_api_calls, download_asset, parallel_io
from shared.utilities.files import resolve_url_to_local_path

assert WhisperConfig(output_column="t").output_column_name == "t"
assert InferenceConfigs(text_column="a", output_column_name="b").text_column == "a"
assert get_batch_service("intfloat/multilingual-e5-large-instruct") is E5TextEmbeddingBatch
assert not is_hf_model_cached("a/b")
WhisperTranscriptionBatch(config=WhisperConfig(output_column_name="transcription"))
E5TextEmbeddingBatch(config=E5Config(text_column="transcription", output_column_name="embedding"))
ServiceContainer.create(namespace_id="ns_1")
assert parallel_io([1, 0, 4], lambda x: 4 / x) == {0: 4.0, 2: 1.0}

async def call(x):
    return 4 / x

assert concurrent_api_calls([1, 0, 4], call) == [4.0, None, 1.0]

def build_steps(container, **kwargs):
    import asyncio
    for ask in (
        lambda: load_namespace_model("m1"),
        lambda: load_hf_model("a/b"),
        lambda: container.inference.get("google/siglip-base-patch16-224"),
        lambda: asyncio.run(container.llm.generate("say", provider="openai")),
        lambda: asyncio.run(container.secrets.get("KEY")),
    ):
        try:
            ask()
        except RuntimeError as error:
            assert str(error).startswith("This appliance has no "), error
        else:
            raise AssertionError("a made-up answer")
    return {"steps": []}
"""
        with WorkerProcess({"manifest.py": MANIFEST, "pipeline.py": surface}) as worker:
            self.assertEqual(worker.build()["type"], "steps_built")


if __name__ == "__main__":
    unittest.main()
