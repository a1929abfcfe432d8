"""`manifest.py` of a plugin as one value, from either form or a mixture: `metadata["x"]` first, then the variable `x`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain, islice
from types import FunctionType, ModuleType
from typing import Any, Final

from plugin_worker.compute_profile import checked_profile
from plugin_worker.failures import InvalidPlugin
from plugin_worker.features import Feature, read_features
from plugin_worker.json_values import NotJson, to_json_value
from plugin_worker.limits import WARNINGS
from plugin_worker.plugin_loader import Plugin
from plugin_worker.schemas import json_schema

#: A module that imports everything of another may have thousands.
_NAMES_LOOKED_AT: Final = 300


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the plugin declares. `declared_parameter_schema` is the author's class or dict, the rest is JSON."""

    feature_extractor_name: str
    version: str
    features: tuple[Feature, ...]
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    parameter_schema: dict[str, Any] | None
    declared_parameter_schema: Any
    compute_profile: dict[str, Any] | None
    other: dict[str, Any]
    warnings: tuple[str, ...]

    def as_message(self) -> dict[str, Any]:
        return {
            "feature_extractor_name": self.feature_extractor_name,
            "version": self.version,
            "features": [feature.as_message() for feature in self.features],
            "input_schema": self.input_schema,
            "output_schema": self.output_schema,
            "parameter_schema": self.parameter_schema,
            "compute_profile": self.compute_profile,
            **self.other,
        }


def read_manifest(plugin: Plugin) -> Manifest:
    """Imports `manifest.py`. Raises InvalidPlugin, PluginFileMissing, or what the module itself raises."""
    declared = _Declared(vars(plugin.load("manifest")))
    warnings: list[str] = []
    name = declared.text("feature_extractor_name")
    version = declared.text("version")
    if not name:
        raise InvalidPlugin("manifest.py declares no feature_extractor_name (in `metadata` or as a variable).")
    if not version:
        raise InvalidPlugin("manifest.py declares no version (in `metadata` or as a variable).")
    other = {
        "description": declared.text("description"),
        "category": declared.text("category"),
        "supported_input_types": declared.texts("supported_input_types"),
        "dependencies": declared.texts("dependencies"),
        "input_mappings": declared.mapping("input_mappings"),
        "feature_uri": declared.text("feature_uri"),
        "example_input": declared.mapping("example_input"),
        "example_output": declared.mapping("example_output"),
        "required_vector_indexes": declared.json("required_vector_indexes", list),
        "tier": declared.json("tier", int),
        "tier_label": declared.text("tier_label"),
        "requires_python": declared.text("requires_python"),
    }
    manifest = Manifest(
        feature_extractor_name=name,
        version=version,
        features=read_features(declared.get("features"), warnings),
        input_schema=json_schema(declared.get("input_schema"), "input_schema"),
        output_schema=json_schema(declared.get("output_schema"), "output_schema"),
        parameter_schema=json_schema(declared.get("parameter_schema"), "parameter_schema"),
        declared_parameter_schema=declared.get("parameter_schema"),
        compute_profile=checked_profile(declared.mapping("compute_profile"), warnings),
        other=other,
        warnings=(),
    )
    warnings += declared.misspelt()
    return replace(manifest, warnings=tuple(warnings[:WARNINGS]))


class _Declared:
    """Looks names up in `metadata`, then in the module; says which name has the wrong type."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        metadata = variables.get("metadata")
        if metadata is not None and not isinstance(metadata, Mapping):
            raise InvalidPlugin(f"metadata must be a dict, not a {type(metadata).__name__}.")
        self._metadata: Mapping[str, Any] = metadata or {}
        self._asked: set[str] = {"metadata"}

    def misspelt(self) -> list[str]:
        """Names that nobody asked for, each nearly one that was asked for and is not there."""
        lacking = [name for name in sorted(self._asked) if self.get(name) is None]
        found = []
        for key, value in islice(chain(self._metadata.items(), self._variables.items()), _NAMES_LOOKED_AT):
            # A module, and a class or function where it is made, declare nothing.
            made_here = isinstance(value, (type, FunctionType)) and value.__name__ == key
            if key in self._asked or made_here or isinstance(value, ModuleType):
                continue
            near = get_close_matches(str(key)[:100].lower(), lacking, n=1, cutoff=0.8)
            if near:
                found.append(f"{str(key)[:100]} is not read; did you mean {near[0]}?")
        return found

    def get(self, name: str) -> Any:
        self._asked.add(name)
        value = self._metadata.get(name)
        return self._variables.get(name) if value is None else value

    def text(self, name: str) -> str | None:
        value = self.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        raise InvalidPlugin(f"{name} must be a string, not a {type(value).__name__}.")

    def texts(self, name: str) -> list[str]:
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise InvalidPlugin(f"{name} must be a list of strings.")
        return [str(item) for item in value]

    def mapping(self, name: str) -> dict[str, Any] | None:
        value = self.json(name, dict)
        return None if value is None else dict(value)

    def json(self, name: str, kind: type) -> Any:
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, kind):
            raise InvalidPlugin(f"{name} must be a {kind.__name__}, not a {type(value).__name__}.")
        try:
            return to_json_value(value, name)
        except NotJson as error:
            raise InvalidPlugin(f"{name} cannot be written as JSON: {error}.") from error
