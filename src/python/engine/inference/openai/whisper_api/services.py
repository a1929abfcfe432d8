"""Transcription of audio rows as a step."""

from typing import Any

from engine.inference.openai.whisper_api.models import WhisperConfig
from engine.inference.services import BaseBatchInferenceService
from engine.services.unavailable import unavailable

__all__ = ["WhisperConfig", "WhisperTranscriptionBatch"]


class WhisperTranscriptionBatch(BaseBatchInferenceService):
    """Writes the transcription of each row's audio to `config.output_column_name`."""

    def _process_batch(self, batch: Any) -> Any:
        raise unavailable("service", getattr(self.config, "model", WhisperConfig.model))
