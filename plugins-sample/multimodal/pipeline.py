"""Batch processing: one step that runs `MultimodalProcessor` on every row."""

from typing import Any, Dict, Optional

from engine.plugins.extractors.pipeline import (
    PipelineDefinition,
    ResourceType,
    RowCondition,
    StepDefinition,
    build_pipeline_steps,
)

from .manifest import MultimodalParams, metadata
from .processors.core import MultimodalConfig, MultimodalProcessor


def build_steps(
    extractor_request: Any,
    container: Optional[Any] = None,
    base_steps: Optional[list] = None,
    **kwargs: Any,
) -> Dict[str, Any]:
    params = MultimodalParams(**(extractor_request.extractor_config.parameters or {}))

    steps = [
        StepDefinition(
            service_class=MultimodalProcessor,
            resource_type=ResourceType.CPU,
            config=MultimodalConfig(**params.model_dump()),
            condition=RowCondition.ALWAYS,
        ),
    ]

    pipeline = PipelineDefinition(name=metadata["feature_extractor_name"], version=metadata["version"], steps=steps)
    return {"steps": (base_steps or []) + build_pipeline_steps(pipeline), "prepare": lambda dataset: dataset}
