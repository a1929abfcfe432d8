"""Decodes PNG files with zlib and numpy: 8 bits a channel, not interlaced, which is what most PNG files are."""

import struct
import zlib
from typing import Dict, Optional

import numpy as np

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}


def decode_png(data: bytes, max_pixels: int) -> Optional[np.ndarray]:
    """Red, green and blue as an array of height x width x 3 bytes.

    None when the file is of another kind than the above, or has more than `max_pixels`. Raises ValueError when it is damaged.
    """
    chunks = _chunks(data)
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13:
        raise damaged("its header is missing")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if not width * height:
        raise damaged("it has no pixels")
    if depth != 8 or interlaced or kind not in CHANNELS or width * height > max_pixels:
        return None

    channels = CHANNELS[kind]
    row_bytes = 1 + width * channels
    try:
        # The limit stops a file that unpacks to more than its header says.
        raw = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), height * row_bytes)
    except zlib.error as error:
        raise damaged("its pixels cannot be unpacked") from error
    if len(raw) != height * row_bytes:
        raise damaged(f"it has {len(raw)} bytes of pixels in place of {height * row_bytes}")

    rows = np.frombuffer(raw, np.uint8).reshape(height, row_bytes)
    if rows[:, 0].max() > 4:
        raise damaged("its rows are coded in a way that does not exist")
    pixels = _unfilter(rows[:, 0], rows[:, 1:].reshape(height, width, channels))
    return _colors(pixels, kind, chunks.get(b"PLTE", b""))


def damaged(why: str) -> ValueError:
    return ValueError(f"the image is damaged: {why}")


def _chunks(data: bytes) -> Dict[bytes, bytes]:
    """Chunks by name; the parts of the image data joined."""
    parts: Dict[bytes, list] = {}
    position = 8
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        parts.setdefault(name, []).append(data[position + 8 : position + 8 + length])
        position += 12 + length
    return {name: b"".join(found) if name == b"IDAT" else found[0] for name, found in parts.items()}


def _unfilter(filters: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Undoes the prediction: every byte was stored as its difference to a guess from its neighbours.

    A pixel needs the ones to its left and above it. All pixels of one diagonal have theirs on the diagonals before, so
    a diagonal is done at once: width + height steps of numpy instead of width x height steps of Python.
    """
    height, width, channels = stored.shape
    # A border of zeros above and to the left stands for the neighbours outside the image.
    done = np.zeros((height + 1, width + 1, channels), np.int32)
    for diagonal in range(height + width - 1):
        y = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        x = diagonal - y
        left, above, corner = done[y + 1, x], done[y, x + 1], done[y, x]
        kind = filters[y][:, None]
        guess = np.select(
            [kind == 1, kind == 2, kind == 3, kind == 4],
            [left, above, (left + above) // 2, _paeth(left, above, corner)],
            0,
        )
        done[y + 1, x + 1] = (stored[y, x] + guess) & 0xFF
    return done[1:, 1:].astype(np.uint8)


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Whichever neighbour is nearest to left + above - corner; in a tie left before above before corner."""
    to_left, to_above, to_corner = np.abs(above - corner), np.abs(left - corner), np.abs(left + above - 2 * corner)
    return np.where(
        (to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner)
    )


def _colors(pixels: np.ndarray, kind: int, palette: bytes) -> np.ndarray:
    if kind in (RGB, RGB_ALPHA):
        return pixels[:, :, :3]
    if kind in (GRAY, GRAY_ALPHA):
        return np.repeat(pixels[:, :, :1], 3, axis=2)
    colors = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    index = pixels[:, :, 0]
    if index.max() >= len(colors):
        raise damaged("it uses colours that its palette does not have")
    return colors[index]
