"""The extractor: images in; format, size, colours and an embedding out.

PNG files are decoded (`png.py`) and compared by colour and layout. Of other formats the header is read (`header.py`)
and only the bytes are compared; `decoded` says which it was. To decode those too, put a library's decoder into
`_decode` and its name into the manifest's `dependencies`.
"""

from dataclasses import dataclass
from typing import Any, Dict, Optional

import numpy as np
import pandas as pd

from .asset import read_asset
from .byte_statistics import BINS, byte_entropy, byte_histogram
from .colors import FIELDS, SHADES, color_histogram, describe_colors, layout
from .header import read_header
from .png import decode_png

EMBEDDING = "image_features_embedding"

UNKNOWN_COLORS = {"brightness": None, "contrast": None, "mean_color": None, "main_color": None}


@dataclass
class ImageConfig:
    """`ImageParams` of the manifest, as the processor gets them; their limits are checked there."""

    max_pixels: int = 4_000_000
    max_bytes: int = 64 * 1024 * 1024


class ImageProcessor:
    def __init__(self, config: ImageConfig, progress_actor: Any = None):
        self.config = config

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Adds the columns of `ImageOutput`; None in all of them where a row has no image."""
        if batch.empty:
            return batch
        described = [self.describe(read_asset(value, self.config.max_bytes)) for value in batch["image"].tolist()]
        for name in described[0]:
            # As objects, or pandas would turn whole numbers beside a None into fractions.
            batch[name] = pd.Series([columns[name] for columns in described], index=batch.index, dtype=object)
        return batch

    def describe(self, data: Optional[bytes]) -> Dict[str, Any]:
        """The output columns for the bytes of one image. Never raises: what cannot be known is None."""
        header = read_header(data or b"")
        pixels = self._decode(data or b"", header.format)
        return {
            EMBEDDING: None if data is None else _embedding(data, pixels),
            "format": header.format,
            "width": header.width,
            "height": header.height,
            "byte_count": None if data is None else len(data),
            "byte_entropy": None if data is None else byte_entropy(data),
            "decoded": None if data is None else pixels is not None,
            **(UNKNOWN_COLORS if pixels is None else describe_colors(pixels)),
        }

    def _decode(self, data: bytes, image_format: Optional[str]) -> Optional[np.ndarray]:
        """Height x width x 3 bytes of red, green and blue, or None."""
        return decode_png(data, self.config.max_pixels) if image_format == "png" else None


def _embedding(data: bytes, pixels: Optional[np.ndarray]) -> np.ndarray:
    """Colours, layout and bytes have places of their own, so a decoded image never resembles an undecoded one."""
    vector = np.zeros(SHADES**3 + FIELDS**2 + BINS, np.float32)
    if pixels is None:
        vector[-BINS:] = byte_histogram(data)
        return vector
    vector[: SHADES**3] = color_histogram(pixels)
    vector[SHADES**3 : -BINS] = layout(pixels)
    return vector / np.linalg.norm(vector)
