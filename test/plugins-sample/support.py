"""Loads the sample plugins as the appliance does, as packages, and runs their pipelines on rows."""

import importlib
import importlib.util
import itertools
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "plugins-sample"
CATEGORIES = ("audio", "document", "image", "multimodal", "text", "video")

# numpy, pandas and pydantic come from the base environment, the plugin surface from the source tree.
SITE_PACKAGES = [path for path in os.environ.get("MIXPEEK_TEST_SITE_PACKAGES", "").split(":") if path]
if not SITE_PACKAGES:
    raise RuntimeError("Set MIXPEEK_TEST_SITE_PACKAGES to directories holding numpy, pandas and pydantic.")
sys.path[:0] = [str(ROOT / "src" / "python"), *SITE_PACKAGES]
sys.dont_write_bytecode = True

# Libraries that samples use where they are installed. What this machine happens to have must not decide what is tested.
MEDIA = os.environ.get("MIXPEEK_TEST_MEDIA_PACKAGES", "")
if MEDIA:
    sys.path.insert(0, MEDIA)
else:
    sys.modules.update({name: None for name in ("PIL", "av", "pypdfium2")})  # type: ignore[dict-item]

import pandas as pd  # found only by the lines above

_numbers = itertools.count(1)


class Plugin:
    """A plugin's modules, imported under a package name that no other plugin has."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._package = f"sample_{next(_numbers)}"
        spec = importlib.util.spec_from_file_location(
            self._package, directory / "__init__.py", submodule_search_locations=[str(directory)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{directory} is not a package")
        package = importlib.util.module_from_spec(spec)
        sys.modules[self._package] = package
        spec.loader.exec_module(package)

    def module(self, name: str) -> ModuleType:
        """`manifest`, `processors.core`, …"""
        return importlib.import_module(f"{self._package}.{name}")

    @property
    def manifest(self) -> ModuleType:
        return self.module("manifest")

    @property
    def embedding(self) -> str:
        return self.manifest.features[0]["feature_name"]

    def run(self, rows: list[dict[str, Any]], **parameters: Any) -> pd.DataFrame:
        """The rows after all steps of the pipeline."""
        request = SimpleNamespace(extractor_config=SimpleNamespace(parameters=parameters))
        # Cells as objects: pandas could not hold half a surrogate pair otherwise.
        batch = pd.DataFrame(rows, dtype=object)
        for step in self.module("pipeline").build_steps(request)["steps"]:
            batch = step(batch)
        return batch

    def describe(self, value: Any, mime_type: str, **parameters: Any) -> dict[str, Any]:
        """What the plugin adds to one row that holds `value` in its input field."""
        field = next(iter(self.manifest.input_schema.model_fields))
        return self.run([{field: value, "mime_type": mime_type}], **parameters).iloc[0].to_dict()


def sample(category: str) -> Plugin:
    return Plugin(SAMPLES / category)
