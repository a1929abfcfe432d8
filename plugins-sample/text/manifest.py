"""What this plugin takes, what it gives, and what a collection may set."""

from typing import Dict, List, Optional

from pydantic import BaseModel, Field, model_validator


class TextInput(BaseModel):
    text: str = Field(..., description="The text, in any language")


class TextOutput(BaseModel):
    text_features_embedding: List[float] = Field(
        ..., description="256 numbers of length 1; similar texts point the same way"
    )
    character_count: int
    word_count: int
    sentence_count: int
    unique_word_ratio: float = Field(..., description="Distinct words divided by words; 0 without words")
    average_word_length: float = Field(..., description="In characters")
    digit_share: float = Field(..., description="Digits divided by characters")
    punctuation_share: float = Field(..., description="Punctuation divided by characters")
    uppercase_share: float = Field(..., description="Upper case letters divided by letters")
    character_entropy: float = Field(..., description="Bits a character; low for repetitive text")
    main_script: Optional[str] = Field(None, description="Script of most letters, such as latin or han")
    script_shares: Dict[str, float] = Field(..., description="Share of the letters by script")
    keywords: List[str] = Field(..., description="Words and phrases that stand out, best first")
    truncated: bool = Field(..., description="True when only the first max_characters were read")


# Words of one or two letters are left out anyway; these are longer English ones that say little by themselves.
ENGLISH_FUNCTION_WORDS = (
    "about above after also and any are because been before being both but can cannot could does each either else "
    "for from had has have having here how into its itself may might more most must nor not off one only other "
    "otherwise our over own same shall should some such than that the their them then there these they this those "
    "through too under until upon very was were what when where whether which while who whose why will with "
    "within without would you your"
).split()


class TextParams(BaseModel):
    """Settings of a collection; what is not set keeps its default."""

    ngram_min: int = Field(default=3, ge=2, le=8, description="Shortest character sequence the embedding counts")
    ngram_max: int = Field(default=5, ge=2, le=8, description="Longest character sequence the embedding counts")
    word_weight: float = Field(default=0.3, ge=0, le=1, description="0 compares spelling only, 1 whole words only")
    lowercase: bool = Field(default=True, description="Treat upper and lower case as the same")
    top_k: int = Field(default=5, ge=0, le=50, description="How many keywords to give at most")
    ignore_words: List[str] = Field(
        default=ENGLISH_FUNCTION_WORDS, max_length=5000, description="Words that are never keywords"
    )
    max_characters: int = Field(default=100_000, ge=100, le=1_000_000, description="Text after this many is not read")

    @model_validator(mode="after")
    def check_ngram_range(self) -> "TextParams":
        if self.ngram_min > self.ngram_max:
            raise ValueError(f"ngram_min ({self.ngram_min}) is greater than ngram_max ({self.ngram_max})")
        return self


metadata = {
    "feature_extractor_name": "text_features",
    "version": "1.0.0",
    "description": "Text embedding from hashed n-grams, with statistics and keywords, for any language",
    "category": "text",
}

input_schema = TextInput
output_schema = TextOutput
parameter_schema = TextParams
supported_input_types = ["text"]

features = [
    {
        "feature_name": "text_features_embedding",
        "feature_type": "embedding",
        "embedding_dim": 256,
        "distance_metric": "cosine",
    },
]

example_input = {"text": "Encode a Python object as JSON and write it to a file."}
