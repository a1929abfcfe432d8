"""What this plugin takes, what it gives, and what a collection may set."""

from typing import List, Optional

from pydantic import BaseModel, Field


class AudioInput(BaseModel):
    audio: str = Field(..., description="The audio file: an asset of a bucket, or a URL")


class AudioOutput(BaseModel):
    audio_features_embedding: List[float] = Field(
        ..., description="160 numbers of length 1: 96 of the log-mel spectrum, or 64 of the bytes if not decoded"
    )
    format: Optional[str] = Field(None, description="wav, flac, ogg, opus, mp3, aac, m4a or aiff")
    sample_rate: Optional[int] = Field(None, description="Samples a second")
    channels: Optional[int]
    bits_per_sample: Optional[int]
    duration_seconds: Optional[float]
    byte_count: Optional[int]
    decoded: Optional[bool] = Field(None, description="True when the sound was read (WAV), False when only the header")
    rms: Optional[float] = Field(None, description="Loudness from 0 to 1 (root mean square)")
    peak: Optional[float] = Field(None, description="Greatest amplitude, from 0 to 1")
    silence_share: Optional[float] = Field(None, description="Share of the samples that are silent")
    zero_crossing_rate: Optional[float] = Field(None, description="Changes of sign a second")
    spectral_centroid: Optional[float] = Field(None, description="Where the spectrum has its centre, in hertz")


class AudioParams(BaseModel):
    """Settings of a collection; what is not set keeps its default."""

    max_seconds: int = Field(default=120, ge=1, le=3600, description="Sound after this is not read")
    max_bytes: int = Field(default=268_435_456, ge=1, le=1_073_741_824, description="Larger files are row errors")


metadata = {
    "feature_extractor_name": "audio_features",
    "version": "1.0.0",
    "description": "Audio format, duration, loudness and an embedding of the log-mel spectrum",
    "category": "audio",
}

input_schema = AudioInput
output_schema = AudioOutput
parameter_schema = AudioParams
supported_input_types = ["audio"]

features = [
    {
        "feature_name": "audio_features_embedding",
        "feature_type": "embedding",
        "embedding_dim": 160,
        "distance_metric": "cosine",
    },
]

# A WAV file of 32 samples: four turns of a tone of 1,000 hertz.
example_input = {
    "audio": (
        "data:audio/wav;base64,"
        "UklGRkQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YSAAAACAx+THgDkcOYDH5MeAORw5gMfkx4A5HDmAx+THgDkc"
        "OQ=="
    ),
}
