"""Words of a block, found without knowing the language, and a number (hash) for each of them."""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .characters import DIGIT, LETTER, MARK, SCRIPTS, SYMBOL, UPPERCASE, TextBlock

# Kinds that make up words. Symbols are among them for the embedding's sake: an emoji says something too.
WORD_KINDS = np.zeros(256, bool)
WORD_KINDS[[LETTER, UPPERCASE, MARK, DIGIT, SYMBOL]] = True

APOSTROPHE, TYPOGRAPHIC_APOSTROPHE = 0x27, 0x2019

# Chinese and Japanese are written without spaces: each han character stands alone, and kana end where they meet han.
HAN = SCRIPTS.index("han")
CHANGES_WORD = np.zeros(256, bool)
CHANGES_WORD[[HAN, SCRIPTS.index("hiragana"), SCRIPTS.index("katakana")]] = True

# Odd 64-bit numbers without pattern, as the hash functions splitmix64 and FNV use them.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Words:
    """The words of a block in reading order; all arrays are of one length, one entry a word."""

    starts: np.ndarray  # index of the first character in the block
    ends: np.ndarray  # index after the last
    rows: np.ndarray  # which text it belongs to
    hashes: np.ndarray  # equal for equal words, on every machine and in every run
    lexical: np.ndarray  # False for emoji and other symbols
    ideographic: np.ndarray  # True for a han character

    @classmethod
    def of(cls, block: TextBlock) -> "Words":
        inside = characters_of_words(block)
        before = np.concatenate([[False], inside[:-1]])
        after = np.concatenate([inside[1:], [False]])
        changes = _changes_word(block)

        starts = np.flatnonzero(inside & (~before | changes))
        ends = np.flatnonzero(inside & (~after | np.concatenate([changes[1:], [False]]))) + 1
        return cls(
            starts,
            ends,
            block.rows[starts],
            _hash_words(block.codes, starts, ends),
            block.kinds[starts] != SYMBOL,
            block.scripts[starts] == HAN,
        )

    @property
    def lengths(self) -> np.ndarray:
        return self.ends - self.starts


def characters_of_words(block: TextBlock) -> np.ndarray:
    """For each character whether it is part of a word."""
    inside = WORD_KINDS[block.kinds]
    # An apostrophe between two letters belongs to the word: don't, l'eau, O’Neill.
    apostrophes = (block.codes == APOSTROPHE) | (block.codes == TYPOGRAPHIC_APOSTROPHE)
    inside[1:-1] |= apostrophes[1:-1] & inside[:-2] & inside[2:]
    return inside


def mix(values: np.ndarray) -> np.ndarray:
    """Spreads 64-bit numbers evenly (splitmix64). Python's own hash() would differ from process to process."""
    values = (values ^ (values >> np.uint64(30))) * MULTIPLIER_1
    values = (values ^ (values >> np.uint64(27))) * MULTIPLIER_2
    return values ^ (values >> np.uint64(31))


def distinct(rows: np.ndarray, hashes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The distinct hashes of each row: the index where each occurs first, and how often it occurs.

    Row and hash are packed into one number, so that one sort does it; 48 bits of hash are plenty within a text.
    """
    keys = (rows.astype(np.uint64) << np.uint64(48)) | (hashes >> np.uint64(16))
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return first, counts


def _changes_word(block: TextBlock) -> np.ndarray:
    """For each character whether it cannot be in one word with the character before it."""
    scripts = block.scripts
    previous = np.concatenate([scripts[:1], scripts[:-1]])
    changes = (scripts != previous) & (CHANGES_WORD[scripts] | CHANGES_WORD[previous])
    changes |= scripts == HAN
    symbols = block.kinds == SYMBOL
    changes |= symbols | np.concatenate([symbols[:1], symbols[:-1]])
    # A mark belongs to the character before it, whatever that is.
    return changes & (block.kinds != MARK)


def _hash_words(codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sums over a word's characters, each mixed with its place in the word, so that their order counts."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    lengths = ends - starts
    firsts = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) - np.repeat(firsts, lengths)
    characters = codes[np.repeat(starts, lengths) + places].astype(np.uint64)
    mixed = mix(characters + (places.astype(np.uint64) + np.uint64(1)) * GOLDEN)
    return mix(np.add.reduceat(mixed, firsts))
