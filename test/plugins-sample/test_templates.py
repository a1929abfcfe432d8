"""What all samples have in common, because `mixpeek plugin init` copies them."""

import ast
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from support import CATEGORIES, SAMPLES, Plugin, sample

FILES = {
    "README.md",
    "__init__.py",
    "manifest.py",
    "pipeline.py",
    "processors/__init__.py",
    "processors/core.py",
    "realtime.py",
    "tests/__init__.py",
    "tests/test_plugin.py",
}
FORBIDDEN_NAMES = set(
    "eval exec compile open __import__ globals locals vars getattr setattr delattr hasattr dir input breakpoint".split()
)
FORBIDDEN_MODULES = set(
    "subprocess ctypes pty fcntl resource multiprocessing threading socket commands popen2 pickle marshal shelve "
    "importlib os sys".split()
)
# Beside what every worker has those that a template uses where its requirements.txt names them.
OPTIONAL = {"document": "pypdfium2", "image": "pillow", "multimodal": "pillow", "video": "av"}
LIBRARIES = set(
    "PIL av pypdfium2 base64 binascii collections contextlib dataclasses io itertools math pathlib re struct typing unicodedata zlib "
    "numpy pandas pydantic engine shared pytest types".split()
)


def source_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and path.suffix in (".py", ".md"))


class Templates(unittest.TestCase):
    def test_every_category_has_a_sample_of_the_documented_layout(self) -> None:
        self.assertEqual(sorted(path.name for path in SAMPLES.iterdir() if path.is_dir()), list(CATEGORIES))
        for category in CATEGORIES:
            found = {str(path.relative_to(SAMPLES / category)) for path in source_files(SAMPLES / category)}
            self.assertLessEqual(FILES, found, category)

    def test_the_manifest_is_named_after_its_category_and_describes_the_vector(self) -> None:
        for category in CATEGORIES:
            manifest = sample(category).manifest
            self.assertEqual(manifest.metadata["feature_extractor_name"], f"{category}_features")
            self.assertEqual(manifest.metadata["category"], category)
            self.assertEqual(
                [feature["feature_name"] for feature in manifest.features], [f"{category}_features_embedding"]
            )
            manifest.input_schema(**manifest.example_input)
            for schema in (manifest.input_schema, manifest.output_schema, manifest.parameter_schema):
                schema.model_json_schema()

    def test_the_config_and_the_parameters_have_the_same_defaults(self) -> None:
        for category in CATEGORIES:
            plugin = sample(category)
            parameters = plugin.manifest.parameter_schema()
            config = getattr(plugin.module("processors.core"), type(parameters).__name__.replace("Params", "Config"))
            defaults = {name: value for name, value in vars(config()).items() if name != "ignore_words"}
            self.assertEqual(defaults, {name: getattr(parameters, name) for name in defaults}, category)

    def test_the_columns_are_those_of_the_output_schema(self) -> None:
        for category in CATEGORIES:
            plugin = sample(category)
            mime_type = {"text": "text/plain", "document": "application/pdf"}.get(category, f"{category}/x")
            row = {**plugin.manifest.example_input, "mime_type": mime_type}
            result = plugin.run([row])
            self.assertEqual(set(result.columns) - set(row), set(plugin.manifest.output_schema.model_fields), category)
            outputs = result.iloc[0].to_dict()
            outputs[plugin.embedding] = outputs[plugin.embedding].tolist()
            plugin.manifest.output_schema(**{name: outputs[name] for name in set(outputs) - set(row)})

    def test_replacing_the_name_in_the_text_of_the_files_makes_a_plugin_of_that_name(self) -> None:
        for category in CATEGORIES:
            with tempfile.TemporaryDirectory() as directory:
                copy = Path(directory) / "my_extractor"
                shutil.copytree(SAMPLES / category, copy)
                for path in source_files(copy):
                    path.write_text(path.read_text(encoding="utf-8").replace(f"{category}_features", "my_extractor"))
                    self.assertNotIn(f"{category}_features", path.read_text(encoding="utf-8"))
                plugin = Plugin(copy)
                self.assertEqual(plugin.manifest.metadata["feature_extractor_name"], "my_extractor")
                mime_type = {"text": "text/plain", "document": "application/pdf"}.get(category, f"{category}/x")
                result = plugin.run([{**plugin.manifest.example_input, "mime_type": mime_type}])
                size = plugin.manifest.features[0]["embedding_dim"]
                self.assertEqual(result["my_extractor_embedding"][0].shape, (size,))

    def test_requirements_are_there_to_be_taken_in_and_none_is_needed(self) -> None:
        for category in CATEGORIES:
            path = SAMPLES / category / "requirements.txt"
            self.assertEqual(path.exists(), category in OPTIONAL, category)
            if path.exists():
                lines = path.read_text(encoding="utf-8").splitlines()
                self.assertTrue(all(line.startswith("# ") for line in lines), category)
                self.assertRegex(lines[-1], f"^# {OPTIONAL[category]}>=")

    def test_the_description_is_one_literal_that_occurs_nowhere_else(self) -> None:
        for category in CATEGORIES:
            description = sample(category).manifest.metadata["description"]
            text = "".join(path.read_text(encoding="utf-8") for path in source_files(SAMPLES / category))
            self.assertEqual(text.count(f'"description": "{description}"'), 1)
            self.assertEqual(text.count(description), 1)

    def test_the_code_uses_nothing_that_the_scan_forbids(self) -> None:
        for path in source_files(SAMPLES):
            if path.suffix == ".py":
                self._check(path)

    def _check(self, path: Path) -> None:
        for node in ast.walk(ast.parse(path.read_bytes())):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Name):
                self.assertNotIn(node.id, FORBIDDEN_NAMES, where)
            elif isinstance(node, ast.Attribute):
                self.assertFalse(node.attr.startswith("__"), where)
            elif isinstance(node, ast.Import):
                self._check_modules([alias.name for alias in node.names], where)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                self._check_modules([node.module or ""], where)

    def _check_modules(self, names: list[str], where: str) -> None:
        for name in names:
            self.assertNotIn(name.split(".")[0], FORBIDDEN_MODULES, where)
            self.assertIn(name.split(".")[0], LIBRARIES, where)

    def test_files_that_samples_share_are_the_same_in_each(self) -> None:
        for name, categories in {
            "asset.py": ("image", "audio", "multimodal"),
            "byte_statistics.py": ("image", "audio", "multimodal"),
            "header.py": ("image", "multimodal"),
            "png.py": ("image", "multimodal"),
            "colors.py": ("image", "multimodal"),
            "word_hashing.py": ("document", "multimodal"),
        }.items():
            texts = {(SAMPLES / category / "processors" / name).read_text(encoding="utf-8") for category in categories}
            self.assertEqual(len(texts), 1, f"{name} differs between {', '.join(categories)}")

    def test_the_readme_names_files_that_exist(self) -> None:
        for category in CATEGORIES:
            table = (SAMPLES / category / "README.md").read_text(encoding="utf-8")
            processors = re.findall(r"`(?:processors/)?([a-z0-9_]+\.py)`", table)
            existing = {path.name for path in source_files(SAMPLES / category)}
            self.assertLessEqual(set(processors), existing, category)
            inside = {path.name for path in (SAMPLES / category / "processors").glob("*.py")} - {"__init__.py"}
            self.assertLessEqual(inside, set(processors), category)


if __name__ == "__main__":
    unittest.main()
