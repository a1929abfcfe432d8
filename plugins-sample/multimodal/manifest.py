"""What this plugin takes, what it gives, and what a collection may set."""

from typing import List, Optional

from pydantic import BaseModel, Field


class MultimodalInput(BaseModel):
    text: Optional[str] = Field(None, description="The text that goes with the image, or stands alone")
    image: Optional[str] = Field(None, description="The image: an asset of a bucket, or a URL")


class MultimodalOutput(BaseModel):
    multimodal_features_embedding: List[float] = Field(
        ..., description="384 numbers of length 1: 256 of the text's words, 64 colours and 64 fields of layout"
    )
    has_text: bool
    word_count: int
    has_image: bool
    image_format: Optional[str] = Field(None, description="png, jpeg, gif, bmp, webp, tiff, avif, …")
    image_width: Optional[int] = Field(None, description="In pixels")
    image_height: Optional[int] = Field(None, description="In pixels")
    image_decoded: Optional[bool] = Field(None, description="True when the pixels were read: of PNG, or with Pillow")
    perceptual_hash: Optional[str] = Field(
        None, description="64 bits as 16 hexadecimal digits; copies of another size or format differ in a few bits"
    )
    brightness: Optional[float] = Field(None, description="Mean, from 0 (black) to 1 (white)")
    contrast: Optional[float] = Field(None, description="Standard deviation of the brightness")
    mean_color: Optional[str] = Field(None, description="#rrggbb")
    main_color: Optional[str] = Field(None, description="The commonest of 64 colours, as #rrggbb")


class MultimodalParams(BaseModel):
    """Settings of a collection; what is not set keeps its default."""

    text_weight: float = Field(default=0.5, ge=0, le=1, description="0 compares images only, 1 texts only")
    max_pixels: int = Field(default=50_000_000, ge=1, le=200_000_000, description="Larger images are not decoded")
    max_bytes: int = Field(default=67_108_864, ge=1, le=1_073_741_824, description="Larger files are row errors")


metadata = {
    "feature_extractor_name": "multimodal_features",
    "version": "1.0.0",
    "description": "One embedding for a text and an image together, with figures of both",
    "category": "multimodal",
}

input_schema = MultimodalInput
output_schema = MultimodalOutput
parameter_schema = MultimodalParams
supported_input_types = ["text", "image"]

features = [
    {
        "feature_name": "multimodal_features_embedding",
        "feature_type": "embedding",
        "embedding_dim": 384,
        "distance_metric": "cosine",
    },
]

# The image is a PNG file of 2 x 2 pixels.
example_input = {
    "text": "A red, a blue, a white and a green square.",
    "image": (
        "data:image/png;base64,"
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFUlEQVR42mO4owEEdxh+/fqlscAGAClEBktqahpYAAAAAElFTkSu"
        "QmCC"
    ),
}
