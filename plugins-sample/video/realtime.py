"""Answers single requests: {"video": "<URL or data URL>"} gives the embedding and what a batch would store."""

from typing import Any, Dict

from .manifest import VideoParams
from .processors.byte_source import open_bytes
from .processors.core import EMBEDDING, VideoConfig, VideoProcessor


class RealtimeHandler:
    def __init__(self) -> None:
        self._processor = VideoProcessor(VideoConfig(**VideoParams().model_dump()))

    def predict(self, request: Dict[str, Any]) -> Dict[str, Any]:
        with open_bytes(request.get("video")) as source:
            if source is None:
                raise ValueError('the request needs a "video": a URL, or a data URL with the video itself')
            answer = self._processor.describe(source)
        return {"embedding": answer.pop(EMBEDDING).tolist(), **answer}
