"""What this plugin takes, what it gives, and what a collection may set."""

from typing import List, Optional

from pydantic import BaseModel, Field


class ImageInput(BaseModel):
    image: str = Field(..., description="The image: an asset of a bucket, or a URL")


class ImageOutput(BaseModel):
    image_features_embedding: List[float] = Field(
        ..., description="192 numbers of length 1: 64 colours and 64 fields of layout, or 64 of bytes if not decoded"
    )
    format: Optional[str] = Field(None, description="png, jpeg, gif, bmp, webp, tiff, avif, …")
    width: Optional[int] = Field(None, description="In pixels, as shown: after the rotation that a camera noted")
    height: Optional[int] = Field(None, description="In pixels")
    byte_count: Optional[int]
    byte_entropy: Optional[float] = Field(None, description="Bits a byte; near 8 for compressed data")
    decoded: Optional[bool] = Field(None, description="True when the pixels were read: of PNG, or with Pillow")
    perceptual_hash: Optional[str] = Field(
        None, description="64 bits as 16 hexadecimal digits; copies of another size or format differ in a few bits"
    )
    brightness: Optional[float] = Field(None, description="Mean, from 0 (black) to 1 (white)")
    contrast: Optional[float] = Field(None, description="Standard deviation of the brightness")
    mean_color: Optional[str] = Field(None, description="#rrggbb")
    main_color: Optional[str] = Field(None, description="The commonest of 64 colours, as #rrggbb")


class ImageParams(BaseModel):
    """Settings of a collection; what is not set keeps its default."""

    max_pixels: int = Field(default=50_000_000, ge=1, le=200_000_000, description="Larger images are not decoded")
    max_bytes: int = Field(default=67_108_864, ge=1, le=1_073_741_824, description="Larger files are row errors")


metadata = {
    "feature_extractor_name": "image_features",
    "version": "1.0.0",
    "description": "Image format, size, colours, perceptual hash and an embedding of colour and layout",
    "category": "image",
}

input_schema = ImageInput
output_schema = ImageOutput
parameter_schema = ImageParams
supported_input_types = ["image"]

features = [
    {
        "feature_name": "image_features_embedding",
        "feature_type": "embedding",
        "embedding_dim": 192,
        "distance_metric": "cosine",
    },
]

# A PNG file of 2 x 2 pixels.
example_input = {
    "image": (
        "data:image/png;base64,"
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFUlEQVR42mO4owEEdxh+/fqlscAGAClEBktqahpYAAAAAElFTkSu"
        "QmCC"
    ),
}
