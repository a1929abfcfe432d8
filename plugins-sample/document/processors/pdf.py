"""Reads PDF files far enough to count pages and find text, with zlib and the standard library alone.

Used where pypdfium2 is not installed (`pdf_layout.py`). Found is text in streams that are plain or compressed with Flate, drawn by the operators Tj, TJ, ' and ", in fonts whose
codes are those of Latin letters. Text in fonts of other codes, and scanned pages, need a PDF library.
"""

import re
import zlib
from dataclasses import dataclass
from itertools import islice
from typing import Any, Dict, Iterator, List, Optional

from .pdf_text import text_of_stream

# A hostile file can unpack to a thousand times its size: so much is unpacked, of one stream and of all.
MOST_STREAM_BYTES = 8 * 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024

# A page, and not the tree that holds the pages.
PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
PAGE_TREE = re.compile(rb"/Type\s*/Pages(?![A-Za-z])")
PAGE_TREE_COUNT = re.compile(rb"/Count\s+(\d{1,7})")

# Below this share of letters, digits and blanks it is not text but codes of a font.
LEGIBLE_SHARE = 0.7


@dataclass(frozen=True)
class Pdf:
    """None means that the file does not say, or says it in a way this plugin cannot read."""

    version: Optional[str]
    page_count: Optional[int]
    encrypted: bool
    text: Optional[str]
    pages: Optional[List[Dict[str, Any]]] = None  # the layout, which `pdf_layout.py` reads
    fonts: Optional[List[str]] = None


def read_pdf(data: bytes, max_characters: int) -> Optional[Pdf]:
    """None when this is not a PDF file. Raises ValueError for one of which nothing is left; what else is damaged is left out."""
    start = data.find(b"%PDF-", 0, 1024)
    if start < 0:
        return None
    version = re.match(rb"\d\.\d", data[start + 5 : start + 8])
    encrypted = b"/Encrypt" in data
    pages = len(PAGE.findall(data))
    tree = _tree_count(data)

    parts = []
    characters = 0
    for head, body in _streams(data):
        if b"/ObjStm" in head:  # objects, and so pages, in a compressed stream
            pages += len(PAGE.findall(body))
            tree = max(tree, _tree_count(body))
        elif not encrypted and characters <= max_characters:
            part = text_of_stream(body)
            characters += len(part)
            parts.append(part)
    text = "\n".join(part for part in parts if part).strip()
    if not (tree or pages or text or encrypted):
        raise ValueError("the PDF file is damaged: it has no pages")
    return Pdf(
        version.group().decode() if version else None,
        tree or pages or None,  # the tree first: a page that an update replaced is in the file twice
        encrypted,
        text if text and _legible(text) else None,
    )


def _tree_count(data: bytes) -> int:
    """The greatest count that a tree of pages gives near its type: that of the root."""
    counts = [0]
    for tree in islice(PAGE_TREE.finditer(data), 1000):
        # Only within the same object: an outline has a count too.
        before = data[max(tree.start() - 300, 0) : tree.start()].rsplit(b"obj", 1)[-1]
        after = data[tree.end() : tree.end() + 300].split(b"endobj", 1)[0]
        counts.extend(int(count) for count in PAGE_TREE_COUNT.findall(before + b" " + after))
    return max(counts)


def _streams(data: bytes) -> Iterator[tuple]:
    """The dictionary before each stream, and the stream's content, unpacked where it is compressed."""
    left = MOST_BYTES
    end = 0
    while left > 0:
        start = data.find(b"stream", end)
        if start < 0:
            return
        head = data[max(end, start - 1000) : start]
        head = head[head.rfind(b"obj") + 3 :]
        # The word is followed by a line end, which is not part of the content.
        start += len(b"stream")
        start += 2 if data[start : start + 2] == b"\r\n" else 1
        end = data.find(b"endstream", start)
        if end < 0:
            return
        # An image is no text, however its bytes may read.
        if b"/Image" not in head and b"/FontFile" not in head:
            body = _unpack(head, data[start:end], min(left, MOST_STREAM_BYTES))
            left -= len(body)
            yield head, body
        end += len(b"endstream")


def _unpack(head: bytes, body: bytes, limit: int) -> bytes:
    if b"/Filter" not in head:
        return body[:limit]
    if b"/FlateDecode" not in head:
        return b""
    try:
        return zlib.decompressobj().decompress(body, limit)
    except zlib.error:
        return b""  # encrypted or damaged


def _legible(text: str) -> bool:
    legible = sum(character.isalnum() or character.isspace() for character in text)
    return legible >= LEGIBLE_SHARE * len(text)
