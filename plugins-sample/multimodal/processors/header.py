"""Format and size of an image, from the first bytes of the file."""

import struct
from dataclasses import dataclass
from typing import Optional, Tuple

Size = Optional[Tuple[int, int]]


@dataclass(frozen=True)
class ImageHeader:
    """None means that the file does not say, or says it in a way this plugin cannot read."""

    format: Optional[str] = None
    width: Optional[int] = None
    height: Optional[int] = None


def read_header(data: bytes) -> ImageHeader:
    """Knows PNG, JPEG, GIF, BMP and WebP. Never raises: what is cut short has a format and no size."""
    for name, magic, read_size in READERS:
        if data.startswith(magic) and (name != "webp" or data[8:12] == b"WEBP"):
            try:
                size = read_size(data)
            except struct.error:
                size = None  # the file ends within its header
            if size is None or 0 in size:
                return ImageHeader(name)
            return ImageHeader(name, *size)
    return ImageHeader()


def _png_size(data: bytes) -> Size:
    return struct.unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else None


def _gif_size(data: bytes) -> Size:
    return struct.unpack_from("<HH", data, 6)


def _bmp_size(data: bytes) -> Size:
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # a negative height only says that the rows run from top to bottom


def _jpeg_size(data: bytes) -> Size:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        # Start of frame, of whichever coding; C4, C8 and CC are tables.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return None


def _webp_size(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


READERS = (
    ("png", b"\x89PNG\r\n\x1a\n", _png_size),
    ("jpeg", b"\xff\xd8\xff", _jpeg_size),
    ("gif", b"GIF8", _gif_size),
    ("bmp", b"BM", _bmp_size),
    ("webp", b"RIFF", _webp_size),
)
