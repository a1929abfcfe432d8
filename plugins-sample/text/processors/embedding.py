"""The embedding: n-grams of characters and words, hashed into a fixed number of dimensions.

Every n-gram adds or takes away a weight in one dimension; its hash chooses which dimension and which sign, so what
collides cancels out on average. An n-gram that occurs often counts by the logarithm of how often. Texts that share
many n-grams, in words or in spelling, end up with a high cosine. There is no model to download and no vocabulary.
"""

from typing import List, Optional

import numpy as np

from .characters import TextBlock
from .words import GOLDEN, Words, characters_of_words, mix

DIMENSIONS = 256  # a power of two, the same as embedding_dim in manifest.py

SPACE = np.uint64(ord(" "))

# A word of this many characters gets half the weight of a very long one.
HALF_WEIGHT_LENGTH = 5


def embed(
    block: TextBlock, words: Words, ngram_min: int, ngram_max: int, word_weight: float
) -> List[Optional[np.ndarray]]:
    """One vector of length 1 for each text, None where a text holds nothing to go by."""
    spelling = _character_vectors(block, ngram_min, ngram_max)
    meaning = _word_vectors(block, words)
    # Both parts are brought to length 1 first: otherwise the many character n-grams would drown the few words.
    vectors = _unit(_unit(spelling) * np.sqrt(1 - word_weight) + _unit(meaning) * np.sqrt(word_weight))
    vectors = vectors.astype(np.float32)
    # Rows of an array rather than lists of floats: the appliance takes both, and this is 17 times cheaper.
    return [vector if vector.any() else None for vector in vectors]


def _character_vectors(block: TextBlock, ngram_min: int, ngram_max: int) -> np.ndarray:
    """Vectors of the sequences of ngram_min to ngram_max characters within a word, with the space around it."""
    inside = characters_of_words(block)
    codes = np.where(inside, block.codes, SPACE).astype(np.uint64)

    hashes: List[np.ndarray] = []
    rows: List[np.ndarray] = []
    # rolling[i] is the number of the n characters from i on; within[i] says that those between the outer two are all
    # inside a word. Both grow by one character a turn.
    rolling = codes
    within = np.ones(len(codes) - 1, bool)
    for n in range(2, ngram_max + 1):
        rolling = rolling[:-1] * GOLDEN + codes[n - 1 :]
        if n > 2:
            within = within[: len(rolling)] & inside[n - 2 : n - 2 + len(rolling)]
        if n >= ngram_min:
            # Two characters have none between them: then both must be inside.
            chosen = np.flatnonzero(within if n > 2 else inside[:-1] & inside[1:])
            hashes.append(mix(rolling[chosen] + np.uint64(n)))
            rows.append(block.rows[chosen + 1])
    return _hashed_vectors(np.concatenate(rows), np.concatenate(hashes), block.texts)


def _word_vectors(block: TextBlock, words: Words) -> np.ndarray:
    """Vectors of the words and of the pairs of neighbouring words."""
    # In most languages the short words are the grammar and the long ones the subject. A han character is a word of
    # its own and weighs as a middling one.
    weights = np.where(words.ideographic, 0.5, words.lengths / (words.lengths + HALF_WEIGHT_LENGTH)) ** 2
    left = np.flatnonzero(words.rows[:-1] == words.rows[1:])
    pairs = mix(words.hashes[left] * GOLDEN + words.hashes[left + 1])
    return _hashed_vectors(
        np.concatenate([words.rows, words.rows[left]]),
        np.concatenate([words.hashes, pairs]),
        block.texts,
        np.concatenate([weights, weights[left] * weights[left + 1]]),
    )


def _hashed_vectors(
    rows: np.ndarray, hashes: np.ndarray, texts: int, weights: Optional[np.ndarray] = None
) -> np.ndarray:
    """One vector a text from the hashes of its n-grams, each of weight 1 unless `weights` says otherwise."""
    # Row and hash in one number: one sort brings equal n-grams of one text together.
    keys = (rows.astype(np.uint64) << np.uint64(48)) | (hashes >> np.uint64(16))
    if weights is None:
        keys.sort()
    else:
        order = np.argsort(keys)
        keys, weights = keys[order], weights[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    first = np.flatnonzero(is_first)
    counts = np.diff(np.append(first, len(keys)))

    keys = keys[first]
    dimension = (keys & np.uint64(DIMENSIONS - 1)).astype(np.int64)
    amount = 1 + np.log(counts) if weights is None else (1 + np.log(counts)) * weights[first]
    amount = np.where(keys & np.uint64(DIMENSIONS), amount, -amount)
    row = (keys >> np.uint64(48)).astype(np.int64)
    return np.bincount(row * DIMENSIONS + dimension, amount, minlength=texts * DIMENSIONS).reshape(texts, DIMENSIONS)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)
