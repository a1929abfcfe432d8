"""Answers single requests: {"image": "<URL or data URL>"} gives the embedding and what a batch would store."""

from typing import Any, Dict

from .manifest import ImageParams
from .processors.asset import read_asset
from .processors.core import EMBEDDING, ImageConfig, ImageProcessor


class RealtimeHandler:
    def __init__(self) -> None:
        self._processor = ImageProcessor(ImageConfig(**ImageParams().model_dump()))

    def predict(self, request: Dict[str, Any]) -> Dict[str, Any]:
        data = read_asset(request.get("image"), self._processor.config.max_bytes)
        if data is None:
            raise ValueError('the request needs an "image": a URL, or a data URL with the image itself')

        answer = self._processor.describe(data)
        return {"embedding": answer.pop(EMBEDDING).tolist(), **answer}
