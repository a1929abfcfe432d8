"""Batch processing: `DocumentProcessor` runs on the rows that hold PDF files and on those that hold text."""

from typing import Any, Dict, Optional

from engine.plugins.extractors.pipeline import (
    PipelineDefinition,
    ResourceType,
    RowCondition,
    StepDefinition,
    build_pipeline_steps,
)

from .manifest import DocumentParams, metadata
from .processors.core import DocumentConfig, DocumentProcessor


def build_steps(
    extractor_request: Any,
    container: Optional[Any] = None,
    base_steps: Optional[list] = None,
    **kwargs: Any,
) -> Dict[str, Any]:
    params = DocumentParams(**(extractor_request.extractor_config.parameters or {}))

    # One step for each kind of row; the others pass a step unchanged.
    steps = [
        StepDefinition(
            service_class=DocumentProcessor,
            resource_type=ResourceType.CPU,
            config=DocumentConfig(**params.model_dump()),
            condition=condition,
        )
        for condition in (RowCondition.IS_PDF, RowCondition.IS_TEXT)
    ]

    pipeline = PipelineDefinition(name=metadata["feature_extractor_name"], version=metadata["version"], steps=steps)
    return {"steps": (base_steps or []) + build_pipeline_steps(pipeline), "prepare": lambda dataset: dataset}
