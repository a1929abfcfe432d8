"""Texts as one array of characters, and what Unicode says about each of them."""

import unicodedata
from dataclasses import dataclass
from typing import List

import numpy as np

# Kinds of characters. BORDER stands between two texts, so that nothing ever reaches from one into the next.
BORDER, LETTER, MARK, DIGIT, PUNCTUATION, SYMBOL, SPACE, OTHER = range(1, 9)
UPPERCASE = 9  # a letter too; apart only to be counted

# Unicode's general categories by their first letter: L letters, M marks that combine with a letter, N numbers, …
KIND_OF_CATEGORY = {"L": LETTER, "M": MARK, "N": DIGIT, "P": PUNCTUATION, "S": SYMBOL, "Z": SPACE}

# The first word of a letter's Unicode name is its script. What is not listed counts as "other".
SCRIPTS = (
    "other latin greek cyrillic armenian hebrew arabic syriac thaana devanagari bengali gurmukhi gujarati oriya tamil "
    "telugu kannada malayalam sinhala thai lao tibetan myanmar georgian hangul ethiopic cherokee khmer mongolian "
    "hiragana katakana bopomofo han"
).split()
NAMED_OTHERWISE = {"CJK": "han", "KATAKANA-HIRAGANA": "katakana", "IDEOGRAPHIC": "han"}

# Normalising a long run of combining marks takes time by the square of its length: a text made of 100,000 of them
# would take minutes in one piece and takes a moment in pieces of this size.
NORMALIZED_AT_ONCE = 2_000


class CharacterTable:
    """Kind, script and lower case of every character, looked up in Unicode's data when first seen."""

    def __init__(self) -> None:
        size = 0x110000
        self.kinds = np.zeros(size, np.uint8)  # 0: not looked up yet
        self.scripts = np.zeros(size, np.uint8)
        self.lower = np.arange(size, dtype=np.uint32)

    def learn(self, codes: np.ndarray) -> None:
        for code in np.unique(codes[self.kinds[codes] == 0]).tolist():
            character = chr(code)
            category = unicodedata.category(character)
            if category == "Lu":
                kind = UPPERCASE
            else:
                kind = SPACE if character.isspace() else KIND_OF_CATEGORY.get(category[0], OTHER)
            self.kinds[code] = kind
            self.scripts[code] = _script(character)
            # Only one-to-one pairs: every character keeps its place in the array.
            if len(character.lower()) == 1:
                self.lower[code] = ord(character.lower())


@dataclass(frozen=True)
class TextBlock:
    """Some texts one after the other, with a BORDER before, between and after them; all arrays are of one length."""

    texts: int
    codes: np.ndarray  # code point of each character, lower case when asked for
    kinds: np.ndarray  # LETTER, DIGIT, …
    scripts: np.ndarray  # index in SCRIPTS
    rows: np.ndarray  # which text it belongs to

    @classmethod
    def of(cls, texts: List[str], table: CharacterTable, lowercase: bool) -> "TextBlock":
        """`texts` are normalized already."""
        joined = "\n" + "".join(text + "\n" for text in texts)
        # "surrogatepass", because half a surrogate pair may stand in JSON and must not end the batch.
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")

        lengths = np.array([len(text) + 1 for text in texts], dtype=np.int64)
        borders = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.concatenate([[0], np.repeat(np.arange(len(texts)), lengths)])

        table.learn(codes)
        kinds = table.kinds[codes]
        kinds[borders] = BORDER
        return cls(len(texts), table.lower[codes] if lowercase else codes, kinds, table.scripts[codes], rows)

    def count(self, where: np.ndarray) -> np.ndarray:
        """How many characters of each text are marked in the boolean array `where`."""
        return np.bincount(self.rows[where], minlength=self.texts)

    def substring(self, start: int, end: int) -> str:
        return self.codes[start:end].tobytes().decode("utf-32-le", "surrogatepass")


def normalize(text: str) -> str:
    """One spelling for what looks the same: é as one character or as two, full-width letters, ligatures (NFKC)."""
    if text.isascii():
        return text
    pieces = range(0, len(text), NORMALIZED_AT_ONCE)
    return "".join(unicodedata.normalize("NFKC", text[piece : piece + NORMALIZED_AT_ONCE]) for piece in pieces)


def _script(character: str) -> int:
    name = unicodedata.name(character, "").split(" ")[0]
    script = NAMED_OTHERWISE.get(name, name.lower())
    return SCRIPTS.index(script) if script in SCRIPTS else 0
