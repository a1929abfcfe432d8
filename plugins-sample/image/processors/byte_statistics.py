"""What can be said about any bytes, decoded or not."""

import numpy as np

BINS = 64


# Counted in pieces, because numpy widens the bytes it counts to eight times their size.
PIECE_BYTES = 1 << 20


def byte_histogram(data: bytes) -> np.ndarray:
    """How often bytes occur, in 64 bins of four values each, as a vector of length 1; the square root evens it out."""
    return unit(np.sqrt(_byte_counts(data).reshape(BINS, -1).sum(axis=1)))


def byte_entropy(data: bytes) -> float:
    """Bits a byte: 0 when all bytes are the same, near 8 for compressed data."""
    counts = _byte_counts(data)
    shares = counts[counts > 0] / max(len(data), 1)
    return round(float(np.abs((shares * np.log2(shares)).sum())), 4)


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector scaled to length 1; zeros stay zeros."""
    length = np.linalg.norm(vector)
    return vector / length if length else vector


def _byte_counts(data: bytes) -> np.ndarray:
    values = np.frombuffer(data, np.uint8)
    counts = np.zeros(256, np.int64)
    for start in range(0, len(values), PIECE_BYTES):
        counts += np.bincount(values[start : start + PIECE_BYTES], minlength=256)
    return counts
