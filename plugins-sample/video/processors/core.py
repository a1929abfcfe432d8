"""The extractor: video files in; container, duration, tracks, statistics of frames and an embedding out.

The figures are the file's own (`mp4.py`, `avi.py`). With PyAV (requirements.txt) frames spread over the video are decoded
(`frames.py`, `frame_statistics.py`) and compared; without it only the bytes are, and `decoded` is false.
"""

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

import numpy as np
import pandas as pd

from .avi import read_avi
from .byte_profile import DIMENSIONS as BYTE_DIMENSIONS
from .byte_profile import byte_profile
from .byte_source import ByteSource, open_bytes
from .container import Container, container_format
from .frame_statistics import DIMENSIONS, describe_frames, embed_frames
from .frames import Frames, read_frames
from .mp4 import read_mp4

EMBEDDING = "video_features_embedding"


@dataclass
class VideoConfig:
    """`VideoParams` of the manifest, as the processor gets them; their limits are checked there."""

    max_frames: int = 32
    max_tracks: int = 16


class VideoProcessor:
    def __init__(self, config: VideoConfig, progress_actor: Any = None):
        self.config = config

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Adds the columns of `VideoOutput`; None in all of them where a row has no video."""
        if batch.empty:
            return batch
        described = []
        for value in batch["video"].tolist():
            with open_bytes(value) as source:
                described.append(self.describe(source))
        for name in described[0]:
            # As objects, or pandas would turn whole numbers beside a None into fractions.
            batch[name] = pd.Series([columns[name] for columns in described], index=batch.index, dtype=object)
        return batch

    def describe(self, source: Optional[ByteSource]) -> Dict[str, Any]:
        """The output columns for one video file. Raises ValueError when it is damaged."""
        container = Container() if source is None else _read(source)
        frames = None if source is None else read_frames(source.whole, container, self.config.max_frames)
        video, audio = container.track("video"), container.track("audio")
        duration = container.duration_seconds or video.duration_seconds
        return {
            EMBEDDING: None if source is None else _embedding(source, frames),
            "container": container.format,
            "duration_seconds": duration,
            "width": video.width,
            "height": video.height,
            "frame_rate": round(video.frames / duration, 3) if video.frames and duration else None,
            "video_codec": video.codec,
            "audio_codec": audio.codec,
            "byte_count": None if source is None else source.size,
            "bits_per_second": round(source.size * 8 / duration) if source is not None and duration else None,
            "tracks": [asdict(track) for track in container.tracks[: self.config.max_tracks]],
            "decoded": None if source is None else frames is not None,
            **describe_frames(frames),
        }


def _embedding(source: ByteSource, frames: Optional[Frames]) -> np.ndarray:
    """Frames and bytes have places of their own, so a decoded video never resembles an undecoded one."""
    vector = np.zeros(DIMENSIONS + BYTE_DIMENSIONS, np.float32)
    if frames is None:
        vector[DIMENSIONS:] = byte_profile(source)
    else:
        vector[:DIMENSIONS] = embed_frames(frames)
    return vector


def _read(source: ByteSource) -> Container:
    file_format = container_format(source)
    if file_format in ("mp4", "quicktime"):
        return read_mp4(source, file_format)
    if file_format == "avi":
        return read_avi(source)
    return Container(file_format)
