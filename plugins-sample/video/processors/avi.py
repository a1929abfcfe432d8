"""Reads AVI files, which are chunks within lists: four letters, a length, and what the chunk holds."""

from .byte_source import ByteSource
from .container import Container, Track, four_letters, unpack

KINDS = {b"vids": "video", b"auds": "audio"}

# The headers stand at the start; what they claim is not believed beyond this.
HEADER_BYTES = 64 * 1024


def read_avi(source: ByteSource) -> Container:
    """Never raises; what is cut short or senseless is left out."""
    head = source.read(0, HEADER_BYTES)
    container = Container("avi")

    main = head.find(b"avih")
    found = unpack("<I12xI", head, main + 8) if main >= 0 else None  # microseconds a frame, and frames
    if found and found[0] and found[1]:
        container.duration_seconds = round(found[0] * found[1] / 1e6, 4)

    position = head.find(b"strh")
    while position >= 0:
        following = head.find(b"strh", position + 4)
        container.tracks.append(_track(head[position : following if following >= 0 else len(head)]))
        position = following
    return container


def _track(stream: bytes) -> Track:
    kind, codec = unpack("<4s4s", stream, 8) or (b"", b"")
    track = Track(KINDS.get(kind, four_letters(kind) or None), four_letters(codec) or None)
    timing = unpack("<II4xI", stream, 28)  # scale and rate (rate / scale is frames a second), and length in frames
    if timing and timing[0] and timing[1] and timing[2]:
        track.duration_seconds = round(timing[2] * timing[0] / timing[1], 4)
        track.frames = timing[2] if track.kind == "video" else None
    form = stream.find(b"strf")
    size = unpack("<ii", stream, form + 12) if form >= 0 and track.kind == "video" else None
    if size and size[0] and size[1]:
        track.width, track.height = abs(size[0]), abs(size[1])
    return track
