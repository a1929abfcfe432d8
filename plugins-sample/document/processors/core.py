"""The extractor: PDF and text documents in; pages, text and an embedding of the text out.

`pdf.py` finds the text of simple PDF files. For scans and unusual fonts put a PDF library's reader in its place and its
name into the manifest's `dependencies`.
"""

from dataclasses import dataclass
from typing import Any, Dict, Optional

import pandas as pd

from .document_bytes import read_document
from .pdf import Pdf, read_pdf
from .word_hashing import WORD, embed_words

EMBEDDING = "document_features_embedding"


@dataclass
class DocumentConfig:
    """`DocumentParams` of the manifest, as the processor gets them; their limits are checked there."""

    excerpt_characters: int = 500
    max_characters: int = 200_000
    max_bytes: int = 64 * 1024 * 1024


class DocumentProcessor:
    def __init__(self, config: DocumentConfig, progress_actor: Any = None):
        self.config = config

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Adds the columns of `DocumentOutput`; None in all of them where a row has no document."""
        if batch.empty:
            return batch
        types = batch["mime_type"].tolist() if "mime_type" in batch else [None] * len(batch)
        described = [
            self.describe(read_document(value, mime_type, self.config.max_bytes))
            for value, mime_type in zip(batch["document"].tolist(), types)
        ]
        for name in described[0]:
            # As objects, or pandas would turn whole numbers beside a None into fractions.
            batch[name] = pd.Series([columns[name] for columns in described], index=batch.index, dtype=object)
        return batch

    def describe(self, data: Optional[bytes]) -> Dict[str, Any]:
        """The output columns for the bytes of one document. Raises ValueError when they are neither PDF nor text."""
        pdf = None if data is None else read_pdf(data, self.config.max_characters)
        text = pdf.text if pdf else _decode_text(data)
        text = None if text is None else text[: self.config.max_characters]
        return {
            EMBEDDING: None if text is None else embed_words(text),
            "format": None if data is None else "pdf" if pdf else "text",
            **_pdf_columns(pdf),
            "byte_count": None if data is None else len(data),
            "text_found": None if data is None else bool(text),
            "character_count": None if text is None else len(text),
            "word_count": None if text is None else sum(1 for _ in WORD.finditer(text)),
            "excerpt": None if text is None else text[: self.config.excerpt_characters],
        }


def _pdf_columns(pdf: Optional[Pdf]) -> Dict[str, Any]:
    if pdf is None:
        return {"pdf_version": None, "page_count": None, "encrypted": None}
    return {"pdf_version": pdf.version, "page_count": pdf.page_count, "encrypted": pdf.encrypted}


def _decode_text(data: Optional[bytes]) -> Optional[str]:
    if data is None:
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" not in data[:4096]:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass  # said below, with what the bytes are
    raise ValueError(f"neither a PDF file nor text in UTF-8 or UTF-16: it begins with the bytes {data[:8].hex(' ')}")
