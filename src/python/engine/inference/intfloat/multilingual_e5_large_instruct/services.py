"""Text embedding as a step."""

from typing import Any

from engine.inference.intfloat.multilingual_e5_large_instruct.models import SERVICE_ID, E5Config, InferenceConfigs
from engine.inference.services import BaseBatchInferenceService
from engine.services.unavailable import unavailable

__all__ = ["E5Config", "E5TextEmbeddingBatch", "InferenceConfigs"]


class E5TextEmbeddingBatch(BaseBatchInferenceService):
    """Writes 1024 floats per row to `config.output_column_name`."""

    def _process_batch(self, batch: Any) -> Any:
        raise unavailable("service", SERVICE_ID)
