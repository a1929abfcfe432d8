"""The extractor: PDF and text documents in; pages with text and layout, and an embedding of the text out.

With pypdfium2 (requirements.txt) PDF files are read with their layout (`pdf_layout.py`); without it `pdf.py` counts pages and
finds the text of simple files.
"""

from dataclasses import dataclass
from typing import Any, Dict, Optional

import pandas as pd

from .document_bytes import read_document
from .pdf import Pdf, read_pdf
from .pdf_layout import Limits, read_layout
from .word_hashing import WORD, embed_words

EMBEDDING = "document_features_embedding"

# Readers find it within so many bytes, whatever stands before.
PDF = b"%PDF-"


@dataclass
class DocumentConfig:
    """`DocumentParams` of the manifest, as the processor gets them; their limits are checked there."""

    excerpt_characters: int = 500
    max_characters: int = 200_000
    max_pages: int = 200
    max_blocks: int = 500
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
        """The output columns for one document. Raises ValueError for a damaged one, and what is neither PDF nor text."""
        pdf = None if data is None else self._pdf(data)
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

    def _pdf(self, data: bytes) -> Optional[Pdf]:
        """None when this is not a PDF file."""
        if PDF not in data[:1024]:
            return None
        limits = Limits(self.config.max_pages, self.config.max_characters, self.config.max_blocks)
        return read_layout(data, limits) or read_pdf(data, self.config.max_characters)


def _pdf_columns(pdf: Optional[Pdf]) -> Dict[str, Any]:
    known = Pdf(None, None, False, None) if pdf is None else pdf
    return {
        "pdf_version": known.version,
        "page_count": known.page_count,
        "encrypted": None if pdf is None else known.encrypted,
        "pages": known.pages,
        "fonts": known.fonts,
    }


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
