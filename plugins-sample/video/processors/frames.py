"""Frames of a video, where PyAV is installed (requirements.txt): a few dozen spread evenly over it, small."""

import io
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional, Union

import numpy as np

from .container import Container, Track

try:
    import av
except ImportError:
    av = None

# The demuxer of each container. Named, so that no file can be a playlist of other files.
DEMUXERS = {
    "mp4": "mov",
    "quicktime": "mov",
    "avi": "avi",
    "webm": "matroska",
    "matroska": "matroska",
    "mpeg-ts": "mpegts",
    "mpeg": "mpeg",
    "flv": "flv",
    "asf": "asf",
}

WIDTH, HEIGHT = 64, 36
# Of 8K; a file that claims more is made to fill the memory.
MOST_PIXELS = 40_000_000
# On the way to a frame that was asked for, all since the last whole one are decoded.
MOST_DECODED = 4_000
# Shorter videos are read in one go: to find a place costs more there.
SHORT_SECONDS = 30


@dataclass(frozen=True)
class Frames:
    pictures: np.ndarray  # frames x 36 x 64 x 3 bytes of red, green and blue
    seconds: List[float]  # where each stands in the video


def read_frames(source: Union[bytes, str], container: Container, count: int) -> Optional[Frames]:
    """Up to `count` frames; None without PyAV and for a file without pictures.

    `container` gets what only the decoder knows. Raises ValueError for a damaged file, and one that is no video.
    """
    if av is None:
        return None
    if container.format is None:
        raise ValueError("this is no video that the plugin can read")
    demuxer = DEMUXERS[container.format]
    try:
        with av.open(io.BytesIO(source) if isinstance(source, bytes) else source, format=demuxer) as file:
            if not file.streams.video and not file.streams.audio:
                raise ValueError("it has neither pictures nor sound")
            _complete(container, file)
            if not file.streams.video:
                return None
            return _read(file, file.streams.video[0], count)
    except av.FFmpegError as error:
        raise ValueError(f"the video is damaged: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"the video is damaged: {error}") from error


def _read(file: Any, stream: Any, count: int) -> Frames:
    if stream.codec_context is None:
        raise ValueError("its pictures are coded in a way that the decoder does not know")
    if stream.width * stream.height > MOST_PIXELS:
        raise ValueError(f"its frames claim {stream.width} x {stream.height} pixels")
    stream.codec_context.thread_count = 1  # the worker has its share of the processors, and others have theirs
    length = float(stream.duration * stream.time_base) if stream.duration else (file.duration or 0) / av.time_base
    first = float((stream.start_time or 0) * stream.time_base)
    pictures: List[np.ndarray] = []
    seconds: List[float] = []
    for at, frame in _evenly(file, stream, count, first, length):
        small = frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24").to_ndarray()
        pictures.append(small)
        seconds.append(round(max(at - first, 0.0), 3))
    if not pictures:
        raise ValueError("not one frame of it can be decoded")
    return Frames(np.stack(pictures), seconds)


def _evenly(file: Any, stream: Any, count: int, first: float, length: float) -> Iterator[tuple]:
    """Time and frame of the first frame at or after each of `count` times; of a video without a length its first ones."""
    wanted = [first + length * number / count for number in range(count)]
    left = MOST_DECODED
    if length > SHORT_SECONDS:
        for at in wanted:
            file.seek(int(at / stream.time_base), stream=stream)
            # The whole frame before it, when the way to it is long.
            for passed, (time, frame) in enumerate(_decoded(file, stream)):
                left -= 1
                if time >= at or passed >= MOST_DECODED // count or left <= 0:
                    yield time, frame
                    break
            if left <= 0:
                return
        return
    for time, frame in _decoded(file, stream):
        if not wanted or left <= 0:
            return
        left -= 1
        if length <= 0:
            wanted.pop()
        elif time < wanted[0] - 1e-6:
            continue
        yield time, frame
        while length > 0 and wanted and wanted[0] <= time + 1e-6:
            wanted.pop(0)


def _decoded(file: Any, stream: Any) -> Iterator[tuple]:
    """What can be decoded; a damaged piece is left out, as players do."""
    for packet in file.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            yield float(frame.time or 0.0), frame


def _complete(container: Container, file: Any) -> None:
    """What the file's own headers did not tell."""
    if file.duration and not container.duration_seconds:
        container.duration_seconds = round(file.duration / av.time_base, 4)
    if container.tracks:
        return
    for stream in file.streams:
        known = stream.codec_context is not None
        track = Track(stream.type, stream.codec_context.name if known else None)
        if known and stream.type == "video":
            track.width, track.height = stream.width or None, stream.height or None
            track.frames = stream.frames or _frame_count(file, stream)
        if stream.duration and stream.time_base:
            track.duration_seconds = round(float(stream.duration * stream.time_base), 4)
        container.tracks.append(track)


def _frame_count(file: Any, stream: Any) -> Optional[int]:
    if not file.duration or not stream.average_rate:
        return None
    return round(float(stream.average_rate) * file.duration / av.time_base)
