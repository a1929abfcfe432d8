"""Figures of a text that mean the same in every language."""

from typing import Any, Dict, List, Optional

import numpy as np

from .characters import BORDER, DIGIT, LETTER, PUNCTUATION, SCRIPTS, SPACE, UPPERCASE, TextBlock
from .words import Words, distinct

# What ends a sentence: full stops, question and exclamation marks of many scripts.
ENDS = np.array([ord(mark) for mark in ".!?…؟۔।॥։።፧。！？｡"], np.uint32)
# These end a sentence without a space after them.
ENDS_AT_ONCE = np.array([ord(mark) for mark in "。！？｡"], np.uint32)


def measure(block: TextBlock, words: Words) -> Dict[str, List[Any]]:
    """Columns of statistics, one value for each text."""
    characters = block.count(block.kinds != BORDER)
    uppercase = block.count(block.kinds == UPPERCASE)
    letters = block.count(block.kinds == LETTER) + uppercase

    lexical = words.lexical
    word_count = np.bincount(words.rows[lexical], minlength=block.texts)
    first, _ = distinct(words.rows[lexical], words.hashes[lexical])
    unique_words = np.bincount(words.rows[lexical][first], minlength=block.texts)
    word_characters = np.bincount(words.rows[lexical], words.lengths[lexical], minlength=block.texts)

    columns = {
        "character_count": characters,
        "word_count": word_count,
        "sentence_count": _sentences(block, words),
        "unique_word_ratio": _share(unique_words, word_count),
        "average_word_length": _share(word_characters, word_count),
        "digit_share": _share(block.count(block.kinds == DIGIT), characters),
        "punctuation_share": _share(block.count(block.kinds == PUNCTUATION), characters),
        "uppercase_share": _share(uppercase, letters),
        "character_entropy": _entropy(block, characters),
    }
    shares = _script_shares(block, letters)
    return {
        **{name: values.tolist() for name, values in columns.items()},
        "main_script": [_largest(of_text) for of_text in shares],
        "script_shares": shares,
    }


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, rounded for reading; 0 where there is no whole."""
    return np.round(part / np.maximum(whole, 1), 4)


def _sentences(block: TextBlock, words: Words) -> np.ndarray:
    """Counts the ends of sentences that have words before them, and one more where words follow the last end."""
    marks = np.flatnonzero(block.kinds == PUNCTUATION)
    after = block.kinds[marks + 1]
    spaced = (after == SPACE) | (after == BORDER)
    ends = marks[np.isin(block.codes[marks], ENDS_AT_ONCE) | (np.isin(block.codes[marks], ENDS) & spaced)]
    stops = np.union1d(ends, np.flatnonzero(block.kinds == BORDER))

    # A sentence is a stretch between two stops that holds a word: "Wait..." and "..." are one and none.
    stretch_of_word = np.searchsorted(stops, words.starts[words.lexical])
    held = np.unique(stretch_of_word)
    return np.bincount(block.rows[stops[held]], minlength=block.texts)


def _entropy(block: TextBlock, characters: np.ndarray) -> np.ndarray:
    """Shannon entropy of the characters, in bits: 0 for "aaaa", 2 for "abcd", about 4.2 for English."""
    inside = block.kinds != BORDER
    rows = block.rows[inside]
    first, counts = distinct(rows, block.codes[inside].astype(np.uint64) << np.uint64(16))
    share = counts / characters[rows[first]]
    return np.round(np.abs(np.bincount(rows[first], -share * np.log2(share), minlength=block.texts)), 4)


def _script_shares(block: TextBlock, letters: np.ndarray) -> List[Dict[str, float]]:
    is_letter = (block.kinds == LETTER) | (block.kinds == UPPERCASE)
    cells = block.rows[is_letter] * len(SCRIPTS) + block.scripts[is_letter]
    table = np.bincount(cells, minlength=block.texts * len(SCRIPTS)).reshape(block.texts, len(SCRIPTS))
    shares: List[Dict[str, float]] = [{} for _ in range(block.texts)]
    for row, script in np.argwhere(table).tolist():
        shares[row][SCRIPTS[script]] = round(float(table[row, script] / letters[row]), 4)
    return shares


def _largest(shares: Dict[str, float]) -> Optional[str]:
    return max(shares, key=lambda script: shares[script]) if shares else None
