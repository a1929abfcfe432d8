"""Batch processing: one step that runs `AudioProcessor` on the rows that hold audio."""

from typing import Any, Dict, Optional

from engine.plugins.extractors.pipeline import (
    PipelineDefinition,
    ResourceType,
    RowCondition,
    StepDefinition,
    build_pipeline_steps,
)

from .manifest import AudioParams, metadata
from .processors.core import AudioConfig, AudioProcessor


def build_steps(
    extractor_request: Any,
    container: Optional[Any] = None,
    base_steps: Optional[list] = None,
    **kwargs: Any,
) -> Dict[str, Any]:
    params = AudioParams(**(extractor_request.extractor_config.parameters or {}))

    steps = [
        StepDefinition(
            service_class=AudioProcessor,
            resource_type=ResourceType.CPU,
            config=AudioConfig(**params.model_dump()),
            condition=RowCondition.IS_AUDIO,
        ),
    ]

    pipeline = PipelineDefinition(name=metadata["feature_extractor_name"], version=metadata["version"], steps=steps)
    return {"steps": (base_steps or []) + build_pipeline_steps(pipeline), "prepare": lambda dataset: dataset}
