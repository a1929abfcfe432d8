"""Both forms of manifest.py, mixtures, and parameters against what they declare."""

import unittest
from typing import Any

from seed_plugin import FILES, MANIFEST
from support import WorkerProcess

FLAT = """
feature_extractor_name = "flat_one"
version = "v2.1"
description = "flat"
dependencies = ["requests>=2"]
features = [{"name": "flat_vec", "type": "vector", "dimensions": 8, "distance": "euclidean"}]
output_schema = {"label": {"type": "string"}, "score": {"type": "number", "required": True}}
parameter_schema = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
    "mode": {"type": "string", "enum": ["a", "b"], "required": True},
}
input_mappings = {"text": "payload.body"}
tier = 2
tier_label = "MODERATE"
compute_profile = {"resource_type": "cpu", "batch_size": 16}
feature_uri = "mixpeek://flat_one@2.1.0/flat_vec"
example_input = {"text": "x"}
required_vector_indexes = [{"name": "flat_vec"}]
"""


def manifest_of(text: str) -> dict[str, Any]:
    with WorkerProcess({"manifest.py": text}) as worker:
        return worker.ask({"type": "read_manifest"})


class Forms(unittest.TestCase):
    def test_the_documented_form(self) -> None:
        with WorkerProcess(FILES) as worker:
            reply = worker.ask({"type": "read_manifest"})
        manifest = reply["manifest"]
        self.assertEqual(manifest["feature_extractor_name"], "my_extractor")
        self.assertEqual((manifest["version"], manifest["category"]), ("1.0.0", "text"))
        self.assertEqual(list(manifest["input_schema"]["properties"]), ["text"])
        self.assertEqual(manifest["parameter_schema"]["properties"]["threshold"]["maximum"], 1)
        self.assertEqual(
            manifest["features"],
            [
                {
                    "feature_name": "my_extractor_embedding",
                    "feature_type": "embedding",
                    "embedding_dim": 384,
                    "distance_metric": "cosine",
                }
            ],
        )
        self.assertEqual(manifest["supported_input_types"], ["text"])
        self.assertTrue(reply["has_realtime"])
        self.assertEqual(reply["warnings"], [])
        for name in ("compute_profile", "feature_uri", "example_input", "tier", "requires_python", "input_mappings"):
            self.assertIsNone(manifest[name])

    def test_the_flat_form_with_the_older_feature_spelling_is_read_with_a_warning(self) -> None:
        reply = manifest_of(FLAT)
        manifest = reply["manifest"]
        self.assertEqual(manifest["version"], "v2.1")
        self.assertEqual(manifest["features"][0]["feature_name"], "flat_vec")
        self.assertEqual(manifest["features"][0]["embedding_dim"], 8)
        self.assertEqual(manifest["features"][0]["distance_metric"], "euclid")
        self.assertEqual(manifest["output_schema"]["type"], "object")
        self.assertEqual(manifest["output_schema"]["required"], ["score"])
        self.assertEqual(manifest["dependencies"], ["requests>=2"])
        self.assertEqual(manifest["tier"], 2)
        self.assertEqual(len(reply["warnings"]), 1)
        self.assertIn("older spelling", reply["warnings"][0])
        self.assertFalse(reply["has_realtime"])

    def test_in_a_mixture_metadata_comes_first(self) -> None:
        manifest = manifest_of('version = "9"\nfeature_extractor_name = "outer"\nmetadata = {"version": "1.0"}\n')[
            "manifest"
        ]
        self.assertEqual((manifest["feature_extractor_name"], manifest["version"]), ("outer", "1.0"))

    def test_a_misspelt_key_of_the_compute_profile_is_warned_of_and_one_of_others_is_not(self) -> None:
        profile = 'compute_profile = {"batchsize": 4, "actor_memory": 2, "batch_size": 2, "ray_actor_options": {}}\n'
        warnings = manifest_of(f'feature_extractor_name = "x_one"\nversion = "1"\n{profile}')["warnings"]
        self.assertEqual(
            warnings,
            [
                "compute_profile.batchsize is not read; did you mean batch_size?",
                "compute_profile.actor_memory is not read; did you mean actor_memory_gb?",
            ],
        )

    def test_a_misspelt_name_is_warned_of_where_what_it_is_nearly_is_lacking(self) -> None:
        base = 'feature_extractor_name = "x_one"\nversion = "1"\n'
        misspelt = 'dependancies = ["polars"]\nmetadata = {"output_shema": {}, "author": "somebody"}\n'
        self.assertEqual(
            manifest_of(base + misspelt)["warnings"],
            [
                "output_shema is not read; did you mean output_schema?",
                "dependancies is not read; did you mean dependencies?",
            ],
        )
        right = "import json as features_\nclass Dependencies: pass\ndef output_schemas(): pass\n"
        there = 'tiers = [1]\ntier = 1\ndependencies = []\ndependency_notes = ""\n'
        self.assertEqual(manifest_of(base + right + there)["warnings"], [])

    def test_what_cannot_be_is_a_validation_failure_that_says_why(self) -> None:
        base = 'feature_extractor_name = "x_one"\nversion = "1"\n'
        cases = {
            'version = "1"': "feature_extractor_name",
            base + "features = {}": "features must be a list",
            base + 'features = [{"feature_name": "a", "embedding_dim": 0}]': "embedding_dim",
            base + 'features = [{"feature_name": "a", "embedding_dim": 2}] * 2': "occurs twice",
            base
            + 'features = [{"feature_name": "a", "embedding_dim": 2, "distance_metric": "far"}]': "distance_metric",
            base + "output_schema = 3": "output_schema",
            base + 'example_input = {"a": object()}': "example_input.a",
            base + "tier_label = []": "tier_label",
            base + "metadata = 1": "metadata must be a dict",
        }
        for text, expected in cases.items():
            with self.subTest(text):
                reply = manifest_of(text)
                self.assertEqual((reply["type"], reply["error"]["error_type"]), ("failed", "validation"))
                self.assertIn(expected, reply["error"]["message"])

    def test_a_missing_manifest_is_named(self) -> None:
        with WorkerProcess({"pipeline.py": ""}) as worker:
            self.assertEqual(
                worker.ask({"type": "read_manifest"})["error"]["message"], "The plugin has no manifest.py."
            )

    def test_an_answer_too_large_for_a_frame_is_a_failure_not_a_broken_channel(self) -> None:
        big = 'feature_extractor_name = "x_one"\nversion = "1"\ndescription = "x" * 5_000_000\n'
        with WorkerProcess({"manifest.py": big}) as worker:
            self.assertIn("cannot be sent", worker.ask({"type": "read_manifest"})["error"]["message"])
            self.assertEqual(worker.ask({"type": "surprise"})["type"], "failed")


class Parameters(unittest.TestCase):
    def ask(self, manifest: str, parameters: dict[str, Any]) -> dict[str, Any]:
        with WorkerProcess({"manifest.py": manifest}) as worker:
            return worker.ask({"type": "validate_parameters", "parameters": parameters})

    def test_a_class_fills_defaults_and_keeps_keys_it_does_not_know(self) -> None:
        reply = self.ask(MANIFEST, {"other": 1})
        self.assertEqual(reply, {"type": "parameters_valid", "parameters": {"other": 1, "threshold": 0.5}})

    def test_a_class_says_which_field_is_wrong(self) -> None:
        reply = self.ask(MANIFEST, {"threshold": 2})
        self.assertEqual(reply["type"], "parameters_invalid")
        self.assertEqual(reply["errors"][0]["location"], ["threshold"])
        self.assertEqual(reply["errors"][0]["type"], "less_than_equal")

    def test_a_dict_schema_checks_type_required_enum_and_bounds(self) -> None:
        self.assertEqual(self.ask(FLAT, {"mode": "a"})["parameters"], {"mode": "a", "limit": 3})
        for parameters, kind in (
            ({}, "missing"),
            ({"mode": "c"}, "enum"),
            ({"mode": 1}, "type"),
            ({"mode": "a", "limit": 10}, "less_than_equal"),
            ({"mode": "a", "limit": True}, "type"),
        ):
            with self.subTest(parameters):
                self.assertEqual([error["type"] for error in self.ask(FLAT, parameters)["errors"]], [kind])

    def test_without_a_schema_anything_goes(self) -> None:
        reply = self.ask('feature_extractor_name = "x_one"\nversion = 1\n', {"a": [1]})
        self.assertEqual(reply["parameters"], {"a": [1]})


if __name__ == "__main__":
    unittest.main()
