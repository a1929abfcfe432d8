"""The extractor: images in; format, size, colours, a perceptual hash and an embedding out.

With Pillow (requirements.txt) all common formats are decoded (`pixels.py`), without it PNG files. Of what is not decoded
only the header is read (`header.py`) and the bytes are compared; `decoded` says which it was.
"""

from dataclasses import dataclass
from typing import Any, Dict, Optional

import numpy as np
import pandas as pd

from .asset import read_asset
from .byte_statistics import BINS, byte_entropy, byte_histogram
from .colors import FIELDS, SHADES, color_histogram, describe_colors, layout
from .perceptual_hash import perceptual_hash
from .pixels import Picture, read_picture

EMBEDDING = "image_features_embedding"


@dataclass
class ImageConfig:
    """`ImageParams` of the manifest, as the processor gets them; their limits are checked there."""

    max_pixels: int = 50_000_000
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
        """The output columns for the bytes of one image. Raises ValueError when they are damaged."""
        picture = Picture() if data is None else read_picture(data, self.config.max_pixels)
        pixels = picture.pixels
        return {
            EMBEDDING: None if data is None else _embedding(data, pixels),
            "format": picture.format,
            "width": picture.width,
            "height": picture.height,
            "byte_count": None if data is None else len(data),
            "byte_entropy": None if data is None else byte_entropy(data),
            "decoded": None if data is None else pixels is not None,
            "perceptual_hash": None if pixels is None else perceptual_hash(pixels),
            **describe_colors(pixels),
        }


def _embedding(data: bytes, pixels: Optional[np.ndarray]) -> np.ndarray:
    """Colours, layout and bytes have places of their own, so a decoded image never resembles an undecoded one."""
    vector = np.zeros(SHADES**3 + FIELDS**2 + BINS, np.float32)
    if pixels is None:
        vector[-BINS:] = byte_histogram(data)
        return vector
    vector[: SHADES**3] = color_histogram(pixels)
    vector[SHADES**3 : -BINS] = layout(pixels)
    return vector / np.linalg.norm(vector)
