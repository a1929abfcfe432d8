"""What this plugin takes, what it gives, and what a collection may set."""

from typing import Any, Dict, List, Optional

from pydantic import BaseModel, Field


class VideoInput(BaseModel):
    video: str = Field(..., description="The video file: an asset of a bucket, or a URL")


class VideoOutput(BaseModel):
    video_features_embedding: List[float] = Field(
        ..., description="128 numbers of length 1, of the file's bytes; near 1 for copies, not for what is shown"
    )
    container: Optional[str] = Field(None, description="mp4, quicktime, avi, webm, matroska or mpeg-ts")
    duration_seconds: Optional[float]
    width: Optional[int] = Field(None, description="In pixels")
    height: Optional[int] = Field(None, description="In pixels")
    frame_rate: Optional[float] = Field(None, description="Frames a second, on average")
    video_codec: Optional[str] = Field(None, description="The file's own four letters, such as avc1")
    audio_codec: Optional[str] = Field(None, description="The file's own four letters, such as mp4a")
    byte_count: Optional[int]
    bits_per_second: Optional[int]
    tracks: List[Dict[str, Any]] = Field(..., description="Kind, codec, size, duration and frames of each track")


class VideoParams(BaseModel):
    """Settings of a collection; what is not set keeps its default."""

    max_tracks: int = Field(default=16, ge=0, le=100, description="How many tracks to list at most")


metadata = {
    "feature_extractor_name": "video_features",
    "version": "1.0.0",
    "description": "Video container, duration, size and tracks, with an embedding of the bytes",
    "category": "video",
}

input_schema = VideoInput
output_schema = VideoOutput
parameter_schema = VideoParams
supported_input_types = ["video"]

features = [
    {
        "feature_name": "video_features_embedding",
        "feature_type": "embedding",
        "embedding_dim": 128,
        "distance_metric": "cosine",
    },
]

# The first box of an MP4 file and the one with its duration, two seconds.
example_input = {
    "video": (
        "data:video/mp4;base64,"
        "AAAAGGZ0eXBpc29tAAACAGlzb21tcDQxAAAAdG1vb3YAAABsbXZoZAAAAAAAAAAAAAAAAAAAA+gAAAfQAAEAAAEAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="
    ),
}
