"""What this plugin takes, what it gives, and what a collection may set."""

from typing import Any, Dict, List, Optional

from pydantic import BaseModel, Field


class DocumentInput(BaseModel):
    document: str = Field(..., description="The document: an asset of a bucket, a URL, or the text itself")


class DocumentOutput(BaseModel):
    document_features_embedding: List[float] = Field(
        ..., description="256 numbers of length 1, of the words; documents that share words point the same way"
    )
    format: Optional[str] = Field(None, description="pdf or text")
    pdf_version: Optional[str]
    page_count: Optional[int] = Field(None, description="Pages of a PDF file")
    encrypted: Optional[bool] = Field(None, description="True when a PDF file is encrypted; then no text is found")
    pages: Optional[List[Dict[str, Any]]] = Field(
        None,
        description="With pypdfium2: number, width, height (in points), rotation, text and blocks of each page; a block has "
        "its text and its box (left, bottom, right, top, from the lower left corner)",
    )
    fonts: Optional[List[str]] = Field(None, description="With pypdfium2: names of the fonts")
    byte_count: Optional[int]
    text_found: Optional[bool] = Field(None, description="False for a scan, or a font whose letters cannot be read")
    character_count: Optional[int]
    word_count: Optional[int]
    excerpt: Optional[str] = Field(None, description="The beginning of the text")


class DocumentParams(BaseModel):
    """Settings of a collection; what is not set keeps its default."""

    excerpt_characters: int = Field(default=500, ge=0, le=10_000, description="Length of the excerpt at most")
    max_characters: int = Field(default=200_000, ge=1, le=5_000_000, description="Text after this many is not read")
    max_pages: int = Field(default=200, ge=1, le=10_000, description="Pages after this many are not read, but counted")
    max_blocks: int = Field(default=500, ge=0, le=10_000, description="How many blocks of text to tell the place of")
    max_bytes: int = Field(default=67_108_864, ge=1, le=536_870_912, description="Larger files are row errors")


metadata = {
    "feature_extractor_name": "document_features",
    "version": "1.0.0",
    "description": "Pages, text and layout of PDF and text documents, with an embedding of the words",
    "category": "document",
}

input_schema = DocumentInput
output_schema = DocumentOutput
parameter_schema = DocumentParams
supported_input_types = ["document", "text"]

features = [
    {
        "feature_name": "document_features_embedding",
        "feature_type": "embedding",
        "embedding_dim": 256,
        "distance_metric": "cosine",
    },
]

# A PDF file of one page that says "A page of text." (The table at its end is left out; readers do without.)
example_input = {
    "document": (
        "data:application/pdf;base64,"
        "JVBERi0xLjQKMSAwIG9iaiA8PC9UeXBlIC9DYXRhbG9nIC9QYWdlcyAyIDAgUj4+IGVuZG9iagoyIDAgb2JqIDw8L1R5cGUgL1Bh"
        "Z2VzIC9LaWRzIFszIDAgUl0gL0NvdW50IDE+PiBlbmRvYmoKMyAwIG9iaiA8PC9UeXBlIC9QYWdlIC9QYXJlbnQgMiAwIFIgL01l"
        "ZGlhQm94IFswIDAgMjAwIDUwXSAvQ29udGVudHMgNCAwIFIgL1Jlc291cmNlcyA8PC9Gb250IDw8L0YgNSAwIFI+Pj4+Pj4gZW5k"
        "b2JqCjQgMCBvYmogPDwvTGVuZ3RoIDQ0Pj4Kc3RyZWFtCkJUIC9GIDEyIFRmIDkgMjAgVGQgKEEgcGFnZSBvZiB0ZXh0LikgVGog"
        "RVQKZW5kc3RyZWFtIGVuZG9iago1IDAgb2JqIDw8L1R5cGUgL0ZvbnQgL1N1YnR5cGUgL1R5cGUxIC9CYXNlRm9udCAvSGVsdmV0"
        "aWNhPj4gZW5kb2JqCnRyYWlsZXIgPDwvUm9vdCAxIDAgUj4+CiUlRU9GCg=="
    ),
}
