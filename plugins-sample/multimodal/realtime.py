"""Answers single requests: {"text": "...", "image": "<URL or data URL>"}, or one of them; gives what a batch stores."""

from typing import Any, Dict

from .manifest import MultimodalParams
from .processors.asset import read_asset
from .processors.core import EMBEDDING, MultimodalConfig, MultimodalProcessor


class RealtimeHandler:
    def __init__(self) -> None:
        self._processor = MultimodalProcessor(MultimodalConfig(**MultimodalParams().model_dump()))

    def predict(self, request: Dict[str, Any]) -> Dict[str, Any]:
        image = read_asset(request.get("image"), self._processor.config.max_bytes)
        text = request.get("text")
        if image is None and not text:
            raise ValueError('the request needs a "text", an "image" (a URL or a data URL of the image) or both')

        answer = self._processor.describe(text, image)
        embedding = answer.pop(EMBEDDING)
        return {"embedding": None if embedding is None else embedding.tolist(), **answer}
