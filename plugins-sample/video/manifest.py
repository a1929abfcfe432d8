"""What this plugin takes, what it gives, and what a collection may set."""

from typing import Any, Dict, List, Optional

from pydantic import BaseModel, Field


class VideoInput(BaseModel):
    video: str = Field(..., description="The video file: an asset of a bucket, or a URL")


class VideoOutput(BaseModel):
    video_features_embedding: List[float] = Field(
        ..., description="320 numbers of length 1: 192 of colours, layout and motion, or 128 of the bytes if not decoded"
    )
    container: Optional[str] = Field(None, description="mp4, quicktime, avi, webm, matroska, mpeg-ts, …")
    duration_seconds: Optional[float]
    width: Optional[int] = Field(None, description="In pixels")
    height: Optional[int] = Field(None, description="In pixels")
    frame_rate: Optional[float] = Field(None, description="Frames a second, on average")
    video_codec: Optional[str] = Field(None, description="The file's own four letters, such as avc1; of webm its name")
    audio_codec: Optional[str] = Field(None, description="The file's own four letters, such as mp4a")
    byte_count: Optional[int]
    bits_per_second: Optional[int]
    tracks: List[Dict[str, Any]] = Field(..., description="Kind, codec, size, duration and frames of each track")
    decoded: Optional[bool] = Field(None, description="True when frames were read, with PyAV")
    frames_sampled: Optional[int]
    brightness: Optional[float] = Field(None, description="Mean of the frames, from 0 (black) to 1 (white)")
    brightness_change: Optional[float] = Field(None, description="Standard deviation of the frames' brightness")
    contrast: Optional[float] = Field(None, description="Standard deviation within a frame, mean of the frames")
    motion: Optional[float] = Field(None, description="Mean change of a place from frame to frame, from 0 to 1")
    scene_change_score: Optional[float] = Field(
        None, description="The greatest change of colours between two frames: 1 when none of them stays"
    )
    scene_changes: Optional[List[float]] = Field(None, description="Where a scene begins, in seconds")


class VideoParams(BaseModel):
    """Settings of a collection; what is not set keeps its default."""

    max_frames: int = Field(default=32, ge=1, le=500, description="How many frames to decode at most")
    max_tracks: int = Field(default=16, ge=0, le=100, description="How many tracks to list at most")


metadata = {
    "feature_extractor_name": "video_features",
    "version": "1.0.0",
    "description": "Video container, duration, tracks, scenes and motion, with an embedding of the frames",
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
        "embedding_dim": 320,
        "distance_metric": "cosine",
    },
]

# An AVI file of two frames of 4 x 2 pixels, a second long.
example_input = {
    "video": (
        "data:video/x-msvideo;base64,"
        "UklGRkABAABBVkkgTElTVMAAAABoZHJsYXZpaDgAAAAgoQcAAAAAAAAAAAAQAAAAAgAAAAAAAAABAAAAGAAAAAQAAAACAAAAAAAAAAAA"
        "AAAAAAAAAAAAAExJU1R0AAAAc3RybHN0cmg4AAAAdmlkc0RJQiAAAAAAAAAAAAAAAAABAAAAAgAAAAAAAAACAAAAGAAAAAAAAAAAAAAA"
        "AAAAAAQAAgBzdHJmKAAAACgAAAAEAAAAAgAAAAEAGAAAAAAAGAAAAAAAAAAAAAAAAAAAAAAAAABMSVNURAAAAG1vdmkwMGRiGAAAAB4e"
        "yB4eyAAAAAAAAB4eyB4eyAAAAAAAADAwZGIYAAAAAAAAAAAAyB4eyB4eAAAAAAAAyB4eyB4eaWR4MSAAAAAwMGRiEAAAAAQAAAAYAAAA"
        "MDBkYhAAAAAkAAAAGAAAAA=="
    ),
}
