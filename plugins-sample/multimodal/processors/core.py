"""The extractor: rows with a text, an image or both in; one embedding of both out.

The text has 256 of the embedding's dimensions and the image 128. Each part has length 1 before they are weighed and
joined, so two rows are compared by the parts they have in common.
"""

from dataclasses import dataclass
from typing import Any, Dict, Optional

import numpy as np
import pandas as pd

from .asset import read_asset
from .colors import FIELDS, SHADES, color_histogram, describe_colors, layout
from .perceptual_hash import perceptual_hash
from .pixels import Picture, read_picture
from .word_hashing import DIMENSIONS, WORD, embed_words

EMBEDDING = "multimodal_features_embedding"

IMAGE_DIMENSIONS = SHADES**3 + FIELDS**2


@dataclass
class MultimodalConfig:
    """`MultimodalParams` of the manifest, as the processor gets them; their limits are checked there."""

    text_weight: float = 0.5
    max_pixels: int = 50_000_000
    max_bytes: int = 64 * 1024 * 1024


class MultimodalProcessor:
    def __init__(self, config: MultimodalConfig, progress_actor: Any = None):
        self.config = config

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Adds the columns of `MultimodalOutput`; a row without a word and a decoded image has no embedding (None)."""
        if batch.empty:
            return batch
        described = [
            self.describe(text, read_asset(image, self.config.max_bytes))
            for text, image in zip(_column(batch, "text"), _column(batch, "image"))
        ]
        for name in described[0]:
            # As objects, or pandas would turn whole numbers beside a None into fractions.
            batch[name] = pd.Series([columns[name] for columns in described], index=batch.index, dtype=object)
        return batch

    def describe(self, text: Any, image: Optional[bytes]) -> Dict[str, Any]:
        """The output columns for one row. Raises ValueError for a damaged image."""
        words = text if isinstance(text, str) else ""
        picture = Picture() if image is None else read_picture(image, self.config.max_pixels)
        pixels = picture.pixels
        return {
            EMBEDDING: self._embedding(words, pixels),
            "has_text": bool(words.strip()),
            "word_count": sum(1 for _ in WORD.finditer(words)),
            "has_image": image is not None,
            "image_format": picture.format,
            "image_width": picture.width,
            "image_height": picture.height,
            "image_decoded": None if image is None else pixels is not None,
            "perceptual_hash": None if pixels is None else perceptual_hash(pixels),
            **describe_colors(pixels),
        }

    def _embedding(self, text: str, pixels: Optional[np.ndarray]) -> Optional[np.ndarray]:
        vector = np.zeros(DIMENSIONS + IMAGE_DIMENSIONS, np.float32)
        of_text = embed_words(text)
        if of_text is not None:
            vector[:DIMENSIONS] = of_text * np.sqrt(self.config.text_weight)
        if pixels is not None:
            of_image = np.concatenate([color_histogram(pixels), layout(pixels)])
            vector[DIMENSIONS:] = of_image / np.linalg.norm(of_image) * np.sqrt(1 - self.config.text_weight)
        length = np.linalg.norm(vector)
        return vector / length if length else None


def _column(batch: pd.DataFrame, name: str) -> list:
    """Values of a column; all None where a bucket has no such property."""
    return batch[name].tolist() if name in batch else [None] * len(batch)
