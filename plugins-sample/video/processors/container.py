"""What a video file says about itself, whatever its container."""

import struct
from dataclasses import dataclass, field
from typing import List, Optional

from .byte_source import ByteSource


# Of containers that only a decoder reads.
BEGINNINGS = (("mpeg", b"\0\0\1\xba"), ("flv", b"FLV\1"), ("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"))


@dataclass
class Track:
    """None means that the file does not say."""

    kind: Optional[str] = None  # video or audio; other kinds keep the file's own four letters
    codec: Optional[str] = None  # the file's own four letters: avc1, hev1, mp4a, …
    width: Optional[int] = None
    height: Optional[int] = None
    duration_seconds: Optional[float] = None
    frames: Optional[int] = None


@dataclass
class Container:
    format: Optional[str] = None
    duration_seconds: Optional[float] = None
    tracks: List[Track] = field(default_factory=list)

    def track(self, kind: str) -> Track:
        """The first track of a kind; an empty one when there is none."""
        return next((track for track in self.tracks if track.kind == kind), Track())


def four_letters(name: bytes) -> str:
    """A four-letter code as text that prints, whatever the file holds."""
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in name).strip()


def container_format(source: ByteSource) -> Optional[str]:
    """mp4, quicktime, avi, webm, matroska, mpeg-ts, mpeg, flv or asf, by the first bytes; None for anything else."""
    head = source.read(0, 256)
    if head[4:8] == b"ftyp":
        return "quicktime" if head[8:10] == b"qt" else "mp4"
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "quicktime"  # QuickTime files from before there was an ftyp box
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm" if b"webm" in head else "matroska"
    if len(head) > 188 and head[0] == 0x47 and head[188] == 0x47:
        return "mpeg-ts"
    return next((name for name, magic in BEGINNINGS if head.startswith(magic)), None)


def unpack(layout: str, data: bytes, offset: int = 0) -> Optional[tuple]:
    """`struct.unpack_from`, but None where the data ends too early."""
    if offset < 0 or offset + struct.calcsize(layout) > len(data):
        return None
    return struct.unpack_from(layout, data, offset)
