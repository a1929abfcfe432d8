"""The pipeline a plugin declares in `build_steps`: definitions in, callable steps out.

`build_pipeline_steps` drops disabled steps and binds the rest to their condition and resources. A step builds its
processor when rows first reach it and keeps it: a model is loaded once per worker, and never for rows that do not come.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from inspect import isawaitable
from typing import Any

from engine.plugins.extractors.conditions import RowCondition
from engine.plugins.extractors.construction import construct_service

__all__ = [
    "PipelineDefinition",
    "PipelineStep",
    "ResourceType",
    "RowCondition",
    "StepDefinition",
    "build_pipeline_steps",
]


class ResourceType(str, Enum):
    """What a step needs; it also sets how many rows one call gets: CPU 64, GPU 8, API at most 64, in several calls at once."""

    CPU = "cpu"
    GPU = "gpu"
    API = "api"


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One step of a pipeline: `service_class(config)` is built once per worker, then called per batch of rows.

    Of an API step several calls run at once: with `async def __call__` on one instance, else each on an instance of its own.
    Without a `resource_type` it is that of the manifest's compute_profile, else CPU.
    """

    service_class: Any
    resource_type: ResourceType | None = None
    config: Any = None
    condition: RowCondition = RowCondition.ALWAYS
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class PipelineDefinition:
    """A named sequence of steps."""

    name: str
    version: str
    steps: Sequence[StepDefinition] = field(default_factory=tuple)


class PipelineStep:
    """A step ready to be called with a DataFrame; also what a plugin's own tests may call."""

    def __init__(self, definition: StepDefinition) -> None:
        self.definition = definition
        self._service: Any = None

    @property
    def name(self) -> str:
        return str(getattr(self.definition.service_class, "__name__", type(self.definition.service_class).__name__))

    @property
    def resource_type(self) -> ResourceType:
        return self.definition.resource_type or ResourceType.CPU

    @property
    def condition(self) -> RowCondition:
        return self.definition.condition

    def service(self) -> Any:
        """The processor, built at the first call. Raises what its constructor raises."""
        if self._service is None:
            self._service = self.another()
        return self._service

    def another(self) -> Any:
        """A further processor. Raises what its constructor raises."""
        return construct_service(self.definition.service_class, self.definition.config)

    def __call__(self, batch: Any) -> Any:
        """`batch` with the step's columns added; rows that do not match keep their place and get None in them."""
        if self.condition is RowCondition.ALWAYS or "mime_type" not in batch.columns:
            return self._called(batch)
        matching = [self.condition.matches(value) for value in batch["mime_type"].tolist()]
        if all(matching):
            return self._called(batch) if matching else batch
        if not any(matching):
            return batch
        import pandas as pd

        places = [place for place, matches in enumerate(matching) if matches]
        handled = self._called(batch.iloc[places].reset_index(drop=True))
        if len(handled) != len(places):
            raise ValueError(f"{self.name} returned {len(handled)} rows for {len(places)}.")
        joined = batch.reset_index(drop=True)
        for column in handled.columns:
            cells = joined[column].tolist() if column in joined.columns else [None] * len(joined)
            for place, value in zip(places, handled[column].tolist()):
                cells[place] = value
            joined[column] = pd.Series(cells, dtype=object)
        return joined

    def _called(self, batch: Any) -> Any:
        result = self.service()(batch)
        return asyncio.run(_awaited(result)) if isawaitable(result) else result

    def __repr__(self) -> str:
        return f"PipelineStep({self.name}, {self.resource_type.value}, {self.condition.value})"


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def build_pipeline_steps(pipeline: PipelineDefinition) -> list[PipelineStep]:
    """The enabled steps of `pipeline`, in order. Raises TypeError for an element that is not a StepDefinition."""
    steps: list[PipelineStep] = []
    for definition in pipeline.steps:
        if not isinstance(definition, StepDefinition):
            raise TypeError(f"PipelineDefinition.steps holds a {type(definition).__name__}, not a StepDefinition.")
        if definition.enabled:
            steps.append(PipelineStep(definition))
    return steps
