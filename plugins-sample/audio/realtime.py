"""Answers single requests: {"audio": "<URL or data URL>"} gives the embedding and what a batch would store."""

from typing import Any, Dict

from .manifest import AudioParams
from .processors.asset import read_asset
from .processors.core import EMBEDDING, AudioConfig, AudioProcessor


class RealtimeHandler:
    def __init__(self) -> None:
        self._processor = AudioProcessor(AudioConfig(**AudioParams().model_dump()))

    def predict(self, request: Dict[str, Any]) -> Dict[str, Any]:
        data = read_asset(request.get("audio"), self._processor.config.max_bytes)
        if data is None:
            raise ValueError('the request needs "audio": a URL, or a data URL with the sound itself')

        answer = self._processor.describe(data)
        embedding = answer.pop(EMBEDDING)
        return {"embedding": None if embedding is None else embedding.tolist(), **answer}
