"""From `pipeline.py` to steps that can be called: every spelling of `build_steps` and of what it returns."""

import asyncio
import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.plugins.extractors.pipeline import PipelineStep, RowCondition, StepDefinition
from engine.services.container import ServiceContainer
from plugin_worker.failures import InvalidPlugin
from plugin_worker.limits import API_CALLS, BATCH_ROWS, CALLABLE_BATCH_INPUT, CALLABLE_BATCH_ROWS, SLICE_ROWS
from plugin_worker.plugin_loader import Plugin, PluginFileMissing


class ExtractorConfig:
    """`extractor_request.extractor_config`."""

    def __init__(self, parameters: dict[str, Any], feature_extractor_name: str, version: str) -> None:
        self.parameters = parameters
        self.feature_extractor_name = feature_extractor_name
        self.version = version


class ExtractorRequest:
    """What `build_steps` is given. The parameters stand under every name that plugins read them by."""

    def __init__(self, parameters: dict[str, Any], feature_extractor_name: str, version: str) -> None:
        self.parameters = copy.deepcopy(parameters)
        self.params = self.parameters
        self.feature_extractor_name = feature_extractor_name
        self.version = version
        self.extractor_config = ExtractorConfig(self.parameters, feature_extractor_name, version)


@dataclass(frozen=True, slots=True)
class Step:
    """`service` builds the processor when rows first reach it. `batch_input` caps a batch by bytes of its input rows.

    Of an API step: `calls`, how many at once; `spreads`, whether a batch has fewer rows where there are few; `another`, which
    builds a further processor where there may be one.
    """

    name: str
    resource_type: str
    condition: RowCondition
    batch_rows: int
    batch_input: int | None
    service: Callable[[], Callable[[Any], Any]]
    calls: int = 1
    spreads: bool = False
    another: Callable[[], Callable[[Any], Any]] | None = None

    def as_message(self) -> dict[str, Any]:
        return {"name": self.name[:200], "resource_type": self.resource_type, "condition": self.condition.value}


@dataclass(frozen=True, slots=True)
class BuiltPipeline:
    """The steps in order, and `prepare`, which looks at the rows before the first one."""

    steps: tuple[Step, ...]
    prepare: Callable[[Any], Any] | None


def build_pipeline(
    plugin: Plugin,
    request: ExtractorRequest,
    compute_profile: Mapping[str, Any] | None,
    dataset_size: int | None,
    content_flags: dict[str, Any],
) -> BuiltPipeline:
    """Calls `build_steps`, or `extract` where there is none. Raises InvalidPlugin, or what plugin code raises."""
    module = plugin.load("pipeline")
    entry = getattr(module, "build_steps", None) or getattr(module, "extract", None)
    if entry is None:
        raise PluginFileMissing("pipeline.py defines neither build_steps nor extract.")
    arguments = {
        "extractor_request": request,
        "container": ServiceContainer(),
        "base_steps": [],
        "dataset_size": dataset_size,
        "content_flags": content_flags,
    }
    built = _call_by_name(entry, arguments)
    if inspect.iscoroutine(built):
        built = asyncio.run(built)
    name = getattr(entry, "__name__", "build_steps")
    steps, prepare = _parts(built, name)
    if prepare is not None and not callable(prepare):
        raise InvalidPlugin(f"{name}: `prepare` must be callable, not a {type(prepare).__name__}.")
    profile = compute_profile or {}
    return BuiltPipeline(tuple(_step(element, profile) for element in steps if _is_enabled(element)), prepare)


def _call_by_name(entry: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    parameters = list(inspect.signature(entry).parameters.values())
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for index, parameter in enumerate(parameters):
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        known = parameter.name in arguments
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY or (not known and index == 0):
            # A first parameter under another name can only be the request.
            positional.append(arguments["extractor_request"] if not known else arguments[parameter.name])
        elif known:
            keywords[parameter.name] = arguments[parameter.name]
    if takes_all:
        keywords.update({name: value for name, value in arguments.items() if name not in keywords})
    if positional:
        keywords.pop("extractor_request", None)
    return entry(*positional, **keywords)


def _parts(built: Any, name: str) -> tuple[list[Any], Callable[[Any], Any] | None]:
    if isinstance(built, Mapping):
        steps, prepare = built.get("steps"), built.get("prepare")
    elif isinstance(built, (list, tuple)):
        steps, prepare = built, None
    else:
        steps, prepare = getattr(built, "steps", None), getattr(built, "prepare", None)
    if not isinstance(steps, (list, tuple)):
        what = 'one without' if isinstance(built, Mapping) else f"a {type(built).__name__}"
        raise InvalidPlugin(f'{name} must return a dict with a list under "steps", not {what}.')
    return list(steps), prepare


def _is_enabled(element: Any) -> bool:
    return element.enabled if isinstance(element, StepDefinition) else True


def _step(element: Any, profile: Mapping[str, Any]) -> Step:
    if isinstance(element, StepDefinition):
        element = PipelineStep(element)
    declared_rows = min(profile.get("batch_size") or 0, SLICE_ROWS)
    calls = profile.get("max_concurrency") or API_CALLS
    if isinstance(element, PipelineStep):
        # What the step itself names goes before the profile of the whole plugin.
        named = element.definition.resource_type or profile.get("resource_type") or element.resource_type
        resource_type = str(getattr(named, "value", named)).lower()
        if resource_type not in BATCH_ROWS:
            raise InvalidPlugin(f"Step {element.name}: resource_type must be a ResourceType, not {resource_type!r}.")
        return Step(
            name=element.name,
            resource_type=resource_type,
            condition=_condition(element),
            batch_rows=declared_rows or BATCH_ROWS[resource_type],
            batch_input=None,
            service=element.service,
            calls=calls,
            spreads=not declared_rows,
            another=element.another,
        )
    if not callable(element):
        raise InvalidPlugin(f"A step must be a StepDefinition or callable, not a {type(element).__name__}.")
    resource_type = profile.get("resource_type", "none")
    default_rows = BATCH_ROWS[resource_type] if resource_type in ("gpu", "api") else CALLABLE_BATCH_ROWS
    return Step(
        name=str(getattr(element, "__name__", type(element).__name__)),
        resource_type=resource_type,
        condition=RowCondition.ALWAYS,
        batch_rows=declared_rows or default_rows,
        batch_input=CALLABLE_BATCH_INPUT,
        service=_once(element),
        calls=calls,
        spreads=not declared_rows,
        another=_another(element),
    )


def _condition(step: PipelineStep) -> RowCondition:
    try:
        return RowCondition(step.condition)
    except ValueError:
        raise InvalidPlugin(f"Step {step.name}: condition must be a RowCondition, not {step.condition!r}.") from None


def _once(element: Any) -> Callable[[], Callable[[Any], Any]]:
    """An instance or function as it is; a class given without a StepDefinition is built without a config."""
    if not inspect.isclass(element):
        return lambda: element
    built: list[Any] = []

    def service() -> Any:
        if not built:
            built.append(element())
        return built[0]

    return service


def _another(element: Any) -> Callable[[], Callable[[Any], Any]] | None:
    """A function holds nothing and may be called twice at the same time; an instance that was built by the plugin may not."""
    if inspect.isclass(element):
        return element
    return (lambda: element) if inspect.isfunction(element) else None
