"""A vector for a text: its words and pairs of words, hashed into a fixed number of dimensions."""

import re
import zlib
from collections import Counter
from math import log
from typing import Optional

import numpy as np

DIMENSIONS = 256

WORD = re.compile(r"\w+")


def embed_words(text: str) -> Optional[np.ndarray]:
    """256 numbers of length 1; None for a text without words. Texts that share words have a high cosine."""
    words = WORD.findall(text.lower())
    terms = Counter(words)
    terms.update(f"{left} {right}" for left, right in zip(words, words[1:]))

    vector = np.zeros(DIMENSIONS, np.float32)
    for term, count in terms.items():
        # A checksum, because Python's hash() differs from process to process.
        number = zlib.crc32(term.encode("utf-8", "replace"))
        sign = 1 if number & DIMENSIONS else -1
        # In most languages the short words are the grammar and the long ones the subject.
        vector[number % DIMENSIONS] += sign * (1 + log(count)) * len(term) / (len(term) + 5)
    length = np.linalg.norm(vector)
    return vector / length if length else None
