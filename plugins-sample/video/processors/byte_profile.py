"""A vector of the bytes of a file, from samples spread evenly over it."""

import numpy as np

from .byte_source import ByteSource

PLACES = 64
PLACE_BYTES = 4096
BINS = 64
DIMENSIONS = BINS + PLACES


def byte_profile(source: ByteSource) -> np.ndarray:
    """128 numbers of length 1: how often bytes occur, in 64 bins, and how mixed they are at 64 places of the file.

    It tells apart files of different coding, and finds copies. It says nothing about what the video shows.
    """
    step = max(source.size // PLACES, 1)
    histogram = np.zeros(BINS)
    entropy = np.zeros(PLACES)
    for place in range(PLACES):
        values = np.frombuffer(source.read(place * step, PLACE_BYTES), np.uint8)
        if len(values):
            counts = np.bincount(values, minlength=256)
            histogram += counts.reshape(BINS, -1).sum(axis=1)
            shares = counts[counts > 0] / len(values)
            entropy[place] = np.abs((shares * np.log2(shares)).sum())
    histogram = np.sqrt(histogram / histogram.sum())
    entropy = entropy / max(np.linalg.norm(entropy), 1)
    vector = np.concatenate([histogram, entropy])
    return (vector / np.linalg.norm(vector)).astype(np.float32)
