"""Pixels of an image: of most formats where Pillow is installed (requirements.txt), else of most PNG files (`png.py`)."""

import io
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from .header import read_header
from .png import decode_png

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError:
    Image = None

# Of all that Pillow reads, what cameras, screens and the web make.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "PPM", "ICO")
# Colours and layout are the same of a small copy, and cost a hundredth.
SIDE = 512
# The decoder in Python is slow, and needs twelve bytes of memory a channel.
MOST_PIXELS_WITHOUT_PILLOW = 4_000_000

ORIENTATION = 0x0112


@dataclass(frozen=True)
class Picture:
    """`pixels`: height x width x 3 bytes of red, green and blue, perhaps of a smaller copy; None when not decoded."""

    format: Optional[str] = None
    width: Optional[int] = None  # as shown: after the rotation that a camera noted
    height: Optional[int] = None
    pixels: Optional[np.ndarray] = None


def read_picture(data: bytes, max_pixels: int) -> Picture:
    """Raises ValueError for a damaged file. An image of more than `max_pixels` is not decoded; nothing of it is unpacked."""
    if Image is not None:
        return _by_pillow(data, max_pixels)
    header = read_header(data)
    pixels = None
    if header.format == "png":
        pixels = decode_png(data, min(max_pixels, MOST_PIXELS_WITHOUT_PILLOW))
    return Picture(header.format, header.width, header.height, pixels)


def _by_pillow(data: bytes, max_pixels: int) -> Picture:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            turned = _orientation(image) > 4
            width, height = reversed(image.size) if turned else image.size
            name = "jpeg" if image.format == "MPO" else str(image.format).lower()
            fits = 0 < width * height <= max_pixels
            return Picture(name, width, height, _pixels(image) if fits else None)
    except MemoryError:
        raise
    except UnidentifiedImageError:
        begins = data[:8].hex(" ")
        raise ValueError(f"this is no image that the plugin can read: it begins with the bytes {begins}") from None
    except Image.DecompressionBombError:
        header = read_header(data)
        return Picture(header.format, header.width, header.height)
    except Exception as error:  # its decoders raise whatever the damage leads to
        raise ValueError(f"the image is damaged: {error}") from error


def _pixels(image: Any) -> np.ndarray:
    image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG file is decoded smaller at once
    image.load()
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    try:
        upright = ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data says nothing, and the picture is there all the same
        upright = image
    small = upright.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small)


def _eight_bits(image: Any) -> Any:
    """Gray of 16 or 32 bits, from its darkest to its brightest: how many of the bits are used is not said anywhere."""
    values = np.nan_to_num(np.asarray(image, np.float64))
    low, high = values.min(), values.max()
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(scaled.astype(np.uint8))


def _orientation(image: Any) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


