"""Answers single requests: {"text": "..."} gives the embedding and the same values a batch would store."""

from typing import Any, Dict

from .manifest import TextParams
from .processors.core import EMBEDDING, TextConfig, TextProcessor


class RealtimeHandler:
    def __init__(self) -> None:
        self._processor = TextProcessor(TextConfig(**TextParams().model_dump()))

    def predict(self, request: Dict[str, Any]) -> Dict[str, Any]:
        text = request.get("text")
        if not isinstance(text, str):
            raise ValueError('the request needs a "text" that is a string')

        columns = self._processor.describe([text])
        answer = {name: values[0] for name, values in columns.items()}
        embedding = answer.pop(EMBEDDING)
        return {"embedding": None if embedding is None else embedding.tolist(), **answer}
