"""Keywords: the words and phrases that stand out in a text, by counting alone.

A word scores by how often it occurs, how long it is (in most languages the short words are the grammar) and how early
it comes, as titles and first sentences name the subject. Two neighbouring words are a phrase when they occur together
more than once; two neighbouring han characters always are, because they mostly form one word.
"""

from typing import List

import numpy as np

from .characters import LETTER, UPPERCASE, TextBlock
from .words import GOLDEN, Words, distinct, mix

# In characters. What is longer than a word can be is something else: encoded data, a line drawn with letters.
SHORTEST_KEYWORD = 3
LONGEST_KEYWORD = 40

# A word of this many characters gets half of what length can give.
HALF_LENGTH = 5
# After this many words the bonus for coming early has fallen to a third.
EARLY_WORDS = 30


def find_keywords(block: TextBlock, words: Words, top_k: int, ignored: np.ndarray) -> List[List[str]]:
    """At most `top_k` keywords for each text, best first. Words whose hash is in `ignored` are left out."""
    found: List[List[str]] = [[] for _ in range(block.texts)]
    if top_k == 0 or not len(words.starts):
        return found

    eligible = _eligible(block, words, ignored)
    rows, starts, ends, scores = _candidates(block, words, eligible, _scores(words))

    # Best first within each text; of equal ones the earlier.
    order = np.lexsort((starts, -scores, rows))
    rows, starts, ends = rows[order], starts[order], ends[order]
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
    # Some will be dropped for saying the same as a better one, so more than top_k are looked at.
    for row, start, end in np.column_stack([rows, starts, ends])[ranks < 2 * top_k].tolist():
        chosen = found[row]
        if len(chosen) < top_k:
            keyword = block.substring(start, end)
            # "decoder" next to "json decoder" or "decoders" would say the same twice.
            if not any(keyword in other or other in keyword for other in chosen):
                chosen.append(keyword)
    return found


def _eligible(block: TextBlock, words: Words, ignored: np.ndarray) -> np.ndarray:
    """For each word whether it may be a keyword or part of one."""
    first_kinds = block.kinds[words.starts]
    begins_with_letter = (first_kinds == LETTER) | (first_kinds == UPPERCASE)
    fitting = ((words.lengths >= SHORTEST_KEYWORD) | words.ideographic) & (words.lengths <= LONGEST_KEYWORD)
    return begins_with_letter & fitting & ~np.isin(words.hashes, ignored)


def _scores(words: Words) -> np.ndarray:
    length = words.lengths / (words.lengths + HALF_LENGTH)
    place = np.arange(len(words.rows)) - np.searchsorted(words.rows, words.rows)
    return length * (1 + np.exp(-place / EARLY_WORDS))


def _candidates(block: TextBlock, words: Words, eligible: np.ndarray, scores: np.ndarray) -> List[np.ndarray]:
    """Row, start and end in the block, and score of every distinct word and phrase that may be a keyword."""
    single = np.flatnonzero(eligible & ~words.ideographic)
    first, counts = distinct(words.rows[single], words.hashes[single])
    single = single[first]
    # A word counts where it first occurs: that place is the earliest.
    single_scores = scores[single] * (1 + np.log(counts))

    left = np.flatnonzero(_phrases(block, words, eligible))
    first, counts = distinct(words.rows[left], mix(words.hashes[left] * GOLDEN + words.hashes[left + 1]))
    left = left[first]
    repeated = (counts > 1) | words.ideographic[left]
    left, counts = left[repeated], counts[repeated]
    pair_scores = (scores[left] + scores[left + 1]) * np.log(1 + counts)

    return [
        np.concatenate([words.rows[single], words.rows[left]]),
        np.concatenate([words.starts[single], words.starts[left]]),
        np.concatenate([words.ends[single], words.ends[left + 1]]),
        np.concatenate([single_scores, pair_scores]),
    ]


def _phrases(block: TextBlock, words: Words, eligible: np.ndarray) -> np.ndarray:
    """For each word but the last whether it makes a phrase with the next: one blank or nothing between them."""
    gap = words.starts[1:] - words.ends[:-1]
    blank = (gap == 1) & (block.codes[words.ends[:-1]] == ord(" "))
    both_ideographic = words.ideographic[:-1] & words.ideographic[1:]
    return eligible[:-1] & eligible[1:] & np.where(both_ideographic, gap == 0, blank & ~words.ideographic[:-1])
