"""Reads MP4 and QuickTime files, which are boxes within boxes: a length, four letters, and what the box holds."""

from typing import Dict, Iterator, List, Optional, Tuple

from .byte_source import ByteSource
from .container import Container, Track, four_letters, unpack

# A box whose content is boxes again.
NESTING = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
KINDS = {b"vide": "video", b"soun": "audio"}

# No real file has more, and no small box is larger; a hostile one may claim anything.
MOST_BOXES = 20_000
MOST_BYTES = 64 * 1024

Box = Tuple[bytes, int, int]  # name, and where its content begins and ends in the file


def read_mp4(source: ByteSource, file_format: str) -> Container:
    """Never raises; what is cut short or senseless is left out."""
    container = Container(file_format)
    track: Optional[Dict[bytes, bytes]] = None
    tracks: List[Dict[bytes, bytes]] = []
    for name, start, end in _boxes(source):
        if name == b"mvhd":
            container.duration_seconds = _duration(source.read(start, min(end - start, MOST_BYTES)))
        elif name == b"trak":
            track = {}
            tracks.append(track)
        elif track is not None and name in (b"tkhd", b"mdhd", b"hdlr", b"stsd", b"stsz", b"stz2"):
            track.setdefault(name, source.read(start, min(end - start, MOST_BYTES)))
    container.tracks = [_track(boxes) for boxes in tracks]
    return container


def _boxes(source: ByteSource) -> Iterator[Box]:
    """All boxes in the order of the file, each before those within it."""
    pending = [(0, source.size)]
    for _ in range(MOST_BOXES):
        while pending and pending[-1][0] + 8 > pending[-1][1]:
            pending.pop()
        if not pending:
            return
        start, end = pending.pop()
        size, name, head = _head(source, start)
        box_end = min(start + size, end) if size else end  # 0: up to the end
        if size and size < head:
            continue  # a box cannot be shorter than its own head: the rest of this level is damaged
        pending.append((box_end, end))
        if name in NESTING:
            pending.append((start + head, box_end))
        yield name, start + head, box_end


def _head(source: ByteSource, start: int) -> Tuple[int, bytes, int]:
    head = source.read(start, 16)
    size, name = unpack(">I4s", head) or (1, b"")
    if size != 1:
        return size, name, 8
    large = unpack(">Q", head, 8)  # 1: the length follows as 64 bits
    return (large[0] if large else 1), name, 16


def _duration(body: bytes) -> Optional[float]:
    """Of mvhd and mdhd, which begin alike; the second version has 64-bit times."""
    found = unpack(">IQ", body, 20) if body[:1] == b"\x01" else unpack(">II", body, 12)
    unknown = (1 << 64) - 1 if body[:1] == b"\x01" else (1 << 32) - 1
    if not found or not found[0] or found[1] == unknown:
        return None
    return round(found[1] / found[0], 4)


def _track(boxes: Dict[bytes, bytes]) -> Track:
    handler = boxes.get(b"hdlr", b"")[8:12]
    track = Track(KINDS.get(handler, four_letters(handler) or None))
    entry = boxes.get(b"stsd", b"")[12:16]
    track.codec = four_letters(entry) or None
    track.duration_seconds = _duration(boxes.get(b"mdhd", b""))
    samples = unpack(">I", boxes.get(b"stsz", boxes.get(b"stz2", b"")), 8)
    track.frames = samples[0] if samples and samples[0] else None
    # The size ends the box, whichever its version: two numbers with 16 bits of fraction.
    header = boxes.get(b"tkhd", b"")
    size = unpack(">II", header, len(header) - 8)
    if size and size[0] >> 16 and size[1] >> 16:
        track.width, track.height = size[0] >> 16, size[1] >> 16
    return track
