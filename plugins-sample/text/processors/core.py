"""The extractor: texts in; embedding, statistics and keywords out.

All texts of a batch are laid out as one array of characters (`characters.py`) and cut into words (`words.py`) once;
`embedding.py`, `statistics.py` and `keywords.py` each read these two. Working on arrays instead of on one text after
the other is what makes it fast: a batch of 64 short texts takes a few milliseconds.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List

import pandas as pd

from .characters import CharacterTable, TextBlock, normalize
from .embedding import embed
from .keywords import find_keywords
from .statistics import measure
from .words import Words

EMBEDDING = "text_features_embedding"

# How much is worked on at once: enough to be fast, little enough to bound the memory, whatever arrives.
BLOCK_CHARACTERS = 200_000
BLOCK_TEXTS = 1_024


@dataclass
class TextConfig:
    """`TextParams` of the manifest, as the processor gets them; their limits are checked there."""

    ngram_min: int = 3
    ngram_max: int = 5
    word_weight: float = 0.3
    lowercase: bool = True
    top_k: int = 5
    ignore_words: List[str] = field(default_factory=list)
    max_characters: int = 100_000


class TextProcessor:
    def __init__(self, config: TextConfig, progress_actor: Any = None):
        self.config = config
        self._table = CharacterTable()
        ignored = [normalize(word) for word in config.ignore_words]
        self._ignored = Words.of(TextBlock.of(ignored, self._table, config.lowercase)).hashes

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Adds the columns of `TextOutput`. A text without one word, digit or symbol gets no embedding (None)."""
        if batch.empty:
            return batch
        for name, values in self.describe(batch["text"].tolist()).items():
            batch[name] = values
        return batch

    def describe(self, texts: List[Any]) -> Dict[str, List[Any]]:
        """The output columns for `texts`, in their order. What is not a string (None, NaN) counts as empty."""
        limit = self.config.max_characters
        texts = [text if isinstance(text, str) else "" for text in texts]
        normalized = [normalize(text[:limit]) for text in texts]
        # Normalizing can make a text longer: one Arabic ligature becomes 18 letters.
        truncated = [max(len(before), len(after)) > limit for before, after in zip(texts, normalized)]

        columns: Dict[str, List[Any]] = {"truncated": truncated}
        for some in _portions([text[:limit] for text in normalized]):
            block = TextBlock.of(some, self._table, self.config.lowercase)
            words = Words.of(block)
            described = {
                EMBEDDING: embed(block, words, self.config.ngram_min, self.config.ngram_max, self.config.word_weight),
                **measure(block, words),
                "keywords": find_keywords(block, words, self.config.top_k, self._ignored),
            }
            for name, values in described.items():
                columns.setdefault(name, []).extend(values)
        return columns


def _portions(texts: List[str]) -> Iterator[List[str]]:
    some: List[str] = []
    characters = 0
    for text in texts:
        some.append(text)
        characters += len(text)
        if characters >= BLOCK_CHARACTERS or len(some) == BLOCK_TEXTS:
            yield some
            some, characters = [], 0
    if some:
        yield some
