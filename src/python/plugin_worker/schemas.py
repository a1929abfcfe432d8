"""JSON Schemas of what a manifest declares: pydantic classes, dataclasses and the like, or plain dicts."""

import inspect
from collections.abc import Mapping
from typing import Any

from plugin_worker.failures import InvalidPlugin
from plugin_worker.json_values import NotJson, to_json_value


def json_schema(declared: Any, name: str) -> dict[str, Any] | None:
    """The schema object of `declared`, None when nothing is declared. Raises InvalidPlugin naming `name`."""
    if declared is None:
        return None
    if isinstance(declared, Mapping):
        schema: Any = _schema_of_mapping(declared, name)
    elif inspect.isclass(declared):
        schema = _schema_of_class(declared)
    else:
        raise InvalidPlugin(f"{name} must be a class or a dict, not a {type(declared).__name__}.")
    try:
        return dict(to_json_value(schema, name))
    except NotJson as error:
        raise InvalidPlugin(f"{name} cannot be written as JSON: {error}.") from error


def _schema_of_class(declared: Any) -> Any:
    for method in ("model_json_schema", "schema"):
        if callable(getattr(declared, method, None)):
            return getattr(declared, method)()
    from pydantic import TypeAdapter

    return TypeAdapter(declared).json_schema()


def _schema_of_mapping(declared: Mapping[Any, Any], name: str) -> dict[str, Any]:
    if declared.get("type") == "object" or isinstance(declared.get("properties"), Mapping):
        return {"type": "object", **declared}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field, declaration in declared.items():
        if isinstance(declaration, str):
            declaration = {"type": declaration}
        if not isinstance(declaration, Mapping):
            raise InvalidPlugin(f"{name}.{field} must be a JSON Schema property (a dict).")
        field_schema = dict(declaration)
        # Some manifests mark a field itself as required; JSON Schema has a list beside the properties.
        if isinstance(field_schema.get("required"), bool) and field_schema.pop("required"):
            required.append(str(field))
        properties[str(field)] = field_schema
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}
