"""Parameters of a collection against the plugin's `parameter_schema`, with its defaults filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugin_worker.json_values import to_json_value
from plugin_worker.schemas import json_schema

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class CheckedParameters:
    """`parameters` hold when `errors` is empty. An error is {location, message, type}."""

    parameters: dict[str, Any]
    errors: tuple[dict[str, Any], ...] = ()


def validate_parameters(declared: Any, parameters: dict[str, Any]) -> CheckedParameters:
    """`declared` is a class (pydantic, dataclass), a dict, or None, which takes anything. Keys it does not know are kept."""
    if declared is None:
        return CheckedParameters(parameters)
    if isinstance(declared, Mapping):
        return _against_dict(json_schema(declared, "parameter_schema") or {}, parameters)
    return _against_class(declared, parameters)


def _against_class(declared: Any, parameters: dict[str, Any]) -> CheckedParameters:
    import pydantic

    try:
        if hasattr(declared, "model_validate"):
            filled = declared.model_validate(parameters).model_dump(mode="json")
        else:
            adapter: Any = pydantic.TypeAdapter(declared)
            filled = adapter.dump_python(adapter.validate_python(parameters), mode="json")
    except pydantic.ValidationError as error:
        return CheckedParameters(parameters, tuple(_pydantic_error(item) for item in error.errors(include_url=False)))
    # Over what was given: an alias, or a key the class ignores, still reaches build_steps.
    return CheckedParameters(to_json_value({**parameters, **filled}, "parameters"))


def _pydantic_error(item: Any) -> dict[str, Any]:
    location = [part if isinstance(part, (str, int)) else str(part) for part in item["loc"]]
    return {"location": location, "message": str(item["msg"]), "type": str(item["type"])}


def _against_dict(schema: Mapping[str, Any], parameters: dict[str, Any]) -> CheckedParameters:
    filled = dict(parameters)
    errors: list[dict[str, Any]] = []
    properties = schema.get("properties")
    for name, declared in (properties if isinstance(properties, Mapping) else {}).items():
        if not isinstance(declared, Mapping):
            continue
        if name not in filled and "default" in declared:
            filled[name] = declared["default"]
        if name in filled:
            errors.extend(_value_errors(name, filled[name], declared))
    for name in schema.get("required") or ():
        if name not in filled:
            errors.append({"location": [name], "message": "Field required", "type": "missing"})
    return CheckedParameters(to_json_value(filled, "parameters"), tuple(errors))


def _value_errors(name: str, value: Any, declared: Mapping[str, Any]) -> list[dict[str, Any]]:
    def error(message: str, kind: str) -> dict[str, Any]:
        return {"location": [name], "message": message, "type": kind}

    wanted = declared.get("type")
    names = [wanted] if isinstance(wanted, str) else list(wanted or ())
    if names and not any(_is_of(value, kind) for kind in names):
        return [error(f"Input should be of type {' or '.join(map(str, names))}", "type")]
    errors: list[dict[str, Any]] = []
    choices = declared.get("enum")
    if isinstance(choices, (list, tuple)) and value not in choices:
        errors.append(error(f"Input should be one of {', '.join(map(repr, choices))}", "enum"))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        least, most = declared.get("minimum"), declared.get("maximum")
        if least is not None and value < least:
            errors.append(error(f"Input should be greater than or equal to {least}", "greater_than_equal"))
        if most is not None and value > most:
            errors.append(error(f"Input should be less than or equal to {most}", "less_than_equal"))
    return errors


def _is_of(value: Any, kind: Any) -> bool:
    types = _TYPES.get(str(kind))
    if types is None:
        return True
    if isinstance(value, bool) and bool not in types:
        return False
    return isinstance(value, types) or (kind == "integer" and isinstance(value, float) and value.is_integer())
