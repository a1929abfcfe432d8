"""Batch processing: one step that runs `VideoProcessor` on the rows that hold videos."""

from typing import Any, Dict, Optional

from engine.plugins.extractors.pipeline import (
    PipelineDefinition,
    ResourceType,
    RowCondition,
    StepDefinition,
    build_pipeline_steps,
)

from .manifest import VideoParams, metadata
from .processors.core import VideoConfig, VideoProcessor


def build_steps(
    extractor_request: Any,
    container: Optional[Any] = None,
    base_steps: Optional[list] = None,
    **kwargs: Any,
) -> Dict[str, Any]:
    params = VideoParams(**(extractor_request.extractor_config.parameters or {}))

    steps = [
        StepDefinition(
            service_class=VideoProcessor,
            resource_type=ResourceType.CPU,
            config=VideoConfig(**params.model_dump()),
            condition=RowCondition.IS_VIDEO,
        ),
    ]

    pipeline = PipelineDefinition(name=metadata["feature_extractor_name"], version=metadata["version"], steps=steps)
    return {"steps": (base_steps or []) + build_pipeline_steps(pipeline), "prepare": lambda dataset: dataset}
