"""How a processor is built from its class and config: authors write the constructor in several ways."""

import inspect
from typing import Any

from engine.plugins.extractors.progress import ProgressActor

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def construct_service(service_class: Any, config: Any) -> Any:
    """One processor. `config` goes by name where the constructor has it, else by place; `progress_actor` only where taken.

    Whatever the constructor raises passes through.
    """
    try:
        parameters = inspect.signature(service_class).parameters
    except (TypeError, ValueError):
        return service_class(config)
    keywords: dict[str, Any] = {}
    if _takes(parameters, "progress_actor"):
        keywords["progress_actor"] = ProgressActor()
    if _takes(parameters, "config"):
        return service_class(config=config, **keywords)
    if config is None and all(_is_optional(p) for p in parameters.values()):
        return service_class(**keywords)
    places = [p for p in parameters.values() if p.kind in _BY_PLACE and p.name not in keywords]
    if places or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values()):
        return service_class(config, **keywords)
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return service_class(config=config, **keywords)
    name = getattr(service_class, "__name__", repr(service_class))
    raise TypeError(f"{name} takes no config, yet its step has one. Give __init__ a parameter `config`.")


def _is_optional(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return variadic or parameter.default is not inspect.Parameter.empty


def _takes(parameters: Any, name: str) -> bool:
    return name in parameters and parameters[name].kind in _BY_NAME
