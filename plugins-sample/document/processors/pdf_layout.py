"""Reads PDF files with pypdfium2, where it is installed (requirements.txt): text by page, and where it stands."""

from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .pdf import Pdf

try:
    import pypdfium2
except ImportError:
    pypdfium2 = None

# Of one page; a page of a newspaper has some hundreds.
MOST_RECTANGLES = 5_000
MOST_TEXTS = 2_000
MOST_FONTS = 32

Box = Tuple[float, float, float, float]  # left, bottom, right, top, in points from the lower left corner


@dataclass(frozen=True)
class Limits:
    pages: int
    characters: int
    blocks: int


@dataclass
class Block:
    """Lines that stand together."""

    box: Box
    lines: List[str] = field(default_factory=list)
    line_box: Box = (0.0, 0.0, 0.0, 0.0)  # of the line that came last


def read_layout(data: bytes, limits: Limits) -> Optional[Pdf]:
    """None without pypdfium2. Of an encrypted file nothing is known but that. Raises ValueError for a damaged file."""
    if pypdfium2 is None:
        return None
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            return Pdf(None, None, True, None)
        raise ValueError(f"the PDF file is damaged: {error}") from error
    try:
        return _read(document, limits)
    except pypdfium2.PdfiumError as error:
        raise ValueError(f"the PDF file is damaged: {error}") from error
    finally:
        document.close()


def _read(document: Any, limits: Limits) -> Pdf:
    if len(document) == 0:
        raise ValueError("the PDF file is damaged: it has no pages")
    version = document.get_version()
    pages: List[Dict[str, Any]] = []
    fonts: Dict[str, None] = {}
    characters, blocks = limits.characters, limits.blocks
    for number in range(min(len(document), limits.pages)):
        page = document[number]
        try:
            described = _page(page, number + 1, characters, blocks)
            if len(fonts) < MOST_FONTS:
                fonts.update(dict.fromkeys(_fonts(page)))
        finally:
            page.close()
        pages.append(described)
        characters -= len(described["text"])
        blocks -= len(described["blocks"])
        if characters <= 0:
            break
    text = "\n\n".join(page["text"] for page in pages if page["text"])
    return Pdf(
        None if version is None else f"{version // 10}.{version % 10}",
        len(document),
        False,
        text or None,
        pages,
        list(islice(fonts, MOST_FONTS)),
    )


def _page(page: Any, number: int, characters: int, blocks: int) -> Dict[str, Any]:
    width, height = page.get_size()
    reader = page.get_textpage()
    try:
        count = min(reader.count_chars(), characters)
        text = _clean(reader.get_text_range(0, count)) if count > 0 else ""
        found = list(islice(_blocks(reader), max(blocks, 0)))
    finally:
        reader.close()
    return {
        "number": number,
        "width": round(width, 2),
        "height": round(height, 2),
        "rotation": page.get_rotation(),
        "text": text,
        "blocks": [
            {"box": [round(side, 1) for side in block.box], "text": "\n".join(block.lines)[:characters]} for block in found
        ],
    }


def _blocks(reader: Any) -> Iterator[Block]:
    """Rectangles of text in their order: those of one height are a line, lines close below each other a block."""
    block: Optional[Block] = None
    for index in range(min(reader.count_rects(), MOST_RECTANGLES)):
        box = reader.get_rect(index)
        text = _clean(reader.get_text_bounded(*box)).replace("\n", " ").strip()
        if not text:
            continue
        if block is not None and _same_line(block.line_box, box):
            block.lines[-1] += f" {text}"
            block.line_box = _around(block.line_box, box)
        elif block is not None and _next_line(block.line_box, box):
            block.lines.append(text)
            block.line_box = box
        else:
            if block is not None:
                yield block
            block = Block(box, [text], box)
        block.box = _around(block.box, box)
    if block is not None:
        yield block


def _same_line(line: Box, box: Box) -> bool:
    """Half of the lower one beside the other, and not a column away."""
    overlap = min(line[3], box[3]) - max(line[1], box[1])
    height = max(min(line[3] - line[1], box[3] - box[1]), 0.1)
    return overlap > height / 2 and -height < box[0] - line[2] < 3 * height


def _next_line(line: Box, box: Box) -> bool:
    height = max(line[3] - line[1], 0.1)
    beside = min(line[2], box[2]) - max(line[0], box[0])
    return beside > 0 and -height / 2 < line[1] - box[3] < height


def _around(one: Box, other: Box) -> Box:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))


def _fonts(page: Any) -> Iterator[str]:
    """Names of the fonts of a page's texts, without the letters that mark a font as a part of one."""
    texts = page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_TEXT])
    for text in islice(texts, MOST_TEXTS):
        name = text.get_font().get_base_name()
        yield name.split("+", 1)[-1]


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\ufffe", "-")
