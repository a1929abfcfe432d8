"""Built-in batch services by id."""

from typing import Any

from engine.inference.intfloat.multilingual_e5_large_instruct.services import E5TextEmbeddingBatch
from engine.inference.openai.whisper_api.services import WhisperTranscriptionBatch
from engine.services.unavailable import unavailable

_SERVICES: dict[str, Any] = {
    "intfloat/multilingual-e5-large-instruct": E5TextEmbeddingBatch,
    "openai/whisper-large-v3-turbo": WhisperTranscriptionBatch,
    "openai/whisper-large-v3": WhisperTranscriptionBatch,
    "openai/whisper": WhisperTranscriptionBatch,
}


def get_batch_service(service_id: str) -> Any:
    """The class to name in a StepDefinition. Raises ServiceUnavailable for an id without one."""
    service = _SERVICES.get(service_id)
    if service is None:
        raise unavailable("service", service_id)
    return service
