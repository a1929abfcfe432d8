"""Models from directories handed in, and the mixin that loads them once."""

import json
import os
import tempfile
import unittest

import support  # noqa: F401  puts the Python tree on the path
from engine.models import LazyModelMixin, is_hf_model_cached, lazy_model, load_hf_model_async, load_namespace_model
from engine.models.directories import use_model_directories
from engine.services.unavailable import ServiceUnavailable


class Models(unittest.TestCase):
    def setUp(self) -> None:
        import numpy

        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.addCleanup(use_model_directories, {}, {})
        root = self.directory.name
        numpy.save(os.path.join(root, "weights.npy"), numpy.arange(3))
        with open(os.path.join(root, "evil.pkl"), "wb") as file:
            file.write(b"cos\nsystem\n")
        os.makedirs(os.path.join(root, "folder"))
        with open(os.path.join(root, "folder", "vocabulary.json"), "w", encoding="utf-8") as file:
            json.dump({"a": 1}, file)
        paths = {name: os.path.join(root, name) for name in ("weights.npy", "evil.pkl", "folder")}
        use_model_directories(paths, {"org/model": root})

    def test_a_model_is_loaded_in_the_shape_its_format_has(self) -> None:
        self.assertEqual(load_namespace_model("weights.npy").tolist(), [0, 1, 2])
        self.assertEqual(load_namespace_model("folder"), {"a": 1})

    def test_a_format_that_can_run_code_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "not loaded"):
            load_namespace_model("evil.pkl")

    def test_a_model_that_is_not_here_is_said_to_be_missing(self) -> None:
        with self.assertRaisesRegex(ServiceUnavailable, 'no namespace model "other"'):
            load_namespace_model("other")
        with self.assertRaisesRegex(ServiceUnavailable, 'no Hugging Face model "org/other"'):
            load_hf_model_async("org/other")
        self.assertTrue(is_hf_model_cached("org/model"))
        self.assertFalse(is_hf_model_cached("org/other"))

    def test_the_mixin_and_the_decorator_load_once(self) -> None:
        class Processor(LazyModelMixin):
            model_id = "weights.npy"
            model_source = "namespace"
            instantiated = 0

            def _instantiate_model(self, cached_data):
                self.instantiated += 1
                return cached_data.sum(), None

            @lazy_model("folder", model_source="namespace")
            def decorated(self):
                return self._model, self._tokenizer, self._device

        processor = Processor()
        processor.ensure_model_loaded()
        self.assertEqual((processor.model, processor.tokenizer, processor.instantiated), (3, None, 1))
        self.assertEqual(processor.decorated()[0], {"a": 1})
        self.assertIs(processor.decorated()[0], processor.decorated()[0])


if __name__ == "__main__":
    unittest.main()
