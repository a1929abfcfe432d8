"""Answers single requests: {"document": "<URL or data URL>"} or {"text": "..."} gives what a batch would store."""

from typing import Any, Dict

from .manifest import DocumentParams
from .processors.core import EMBEDDING, DocumentConfig, DocumentProcessor
from .processors.document_bytes import read_document


class RealtimeHandler:
    def __init__(self) -> None:
        self._processor = DocumentProcessor(DocumentConfig(**DocumentParams().model_dump()))

    def predict(self, request: Dict[str, Any]) -> Dict[str, Any]:
        limit = self._processor.config.max_bytes
        # A search asks with a text of its own: it gets the same embedding as a document of that text.
        data = read_document(request.get("document"), None, limit) or read_document(request.get("text"), "text/", limit)
        if data is None:
            raise ValueError('the request needs a "document" (a URL, or a data URL with the file itself) or a "text"')

        answer = self._processor.describe(data)
        embedding = answer.pop(EMBEDDING)
        return {"embedding": None if embedding is None else embedding.tolist(), **answer}
