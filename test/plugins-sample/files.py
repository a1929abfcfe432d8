"""Makes small real files: PNG, WAV, FLAC, PDF, MP4, AVI. Independent of the code that reads them."""

import io
import struct
import wave
import zlib

import support  # makes numpy importable

import numpy as np

RANDOM = np.random.default_rng(7)

PNG_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}


def png(pixels: np.ndarray, filters: str = "mixed", palette: np.ndarray | None = None) -> bytes:
    """`pixels`: height x width x channels bytes; with a palette the one channel is its index. Each row is filtered."""
    height, width, channels = pixels.shape
    kind = 3 if palette is not None else PNG_KINDS[channels]
    raw = b""
    above = [0] * (width * channels)
    for y in range(height):
        row = pixels[y].reshape(-1).tolist()
        chosen = y % 5 if filters == "mixed" else int(filters)
        raw += bytes([chosen]) + bytes(
            (value - _guess(chosen, row, above, index, channels)) & 0xFF for index, value in enumerate(row)
        )
        above = row
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    palette_chunk = b"" if palette is None else _chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    packed = zlib.compress(raw)
    half = len(packed) // 2  # in two chunks, as real files have many
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + palette_chunk
        + _chunk(b"IDAT", packed[:half])
        + _chunk(b"IDAT", packed[half:])
        + _chunk(b"IEND", b"")
    )


def _guess(chosen: int, row: list[int], above: list[int], index: int, channels: int) -> int:
    """The prediction of the PNG specification, written as there: byte by byte."""
    a = row[index - channels] if index >= channels else 0
    b = above[index]
    c = above[index - channels] if index >= channels else 0
    p = a + b - c
    nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
    return [0, a, b, (a + b) // 2, nearest][chosen]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)


def picture(seed: int, size: int) -> np.ndarray:
    """Waves that are the same at every size."""
    at = (np.arange(size) + 0.5) / size
    chance = np.random.default_rng(seed)
    total = np.zeros((size, size))
    for _ in range(12):
        across, down, phase, height = chance.uniform(0, 4), chance.uniform(0, 4), chance.uniform(0, 6), chance.uniform(1, 3)
        total += height * np.cos(2 * np.pi * (across * at[None, :] + down * at[:, None]) + phase)
    scaled = (total - total.min()) / (total.max() - total.min()) * 255
    return np.repeat(scaled.round().astype(np.uint8)[:, :, None], 3, axis=2)


def tone(hertz: float, seconds: float = 0.5, rate: int = 16_000, loudness: float = 0.5) -> np.ndarray:
    return loudness * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def wav(samples: np.ndarray, rate: int = 16_000, bits: int = 16, channels: int = 1) -> bytes:
    """One channel of samples from -1 to 1, copied to all channels, through the standard library's writer."""
    scaled = np.round(samples * (2 ** (bits - 1) - 1)).astype(np.int64)
    if bits == 8:
        scaled += 128
    stored = b"".join(int(value).to_bytes(bits // 8, "little", signed=bits > 8) * channels for value in scaled)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        file.writeframes(stored)
    return buffer.getvalue()


def float_wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    body = samples.astype("<f4").tobytes()
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, rate, rate * 4, 4, 32)
    content = b"WAVE" + header + struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI", b"RIFF", len(content)) + content


def flac_header(rate: int, channels: int, bits: int, samples: int) -> bytes:
    packed = rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | samples
    return b"fLaC" + b"\x80\0\0\x22" + bytes(10) + packed.to_bytes(8, "big") + bytes(16)


def pdf(pages: list[bytes], compress: bool = True, extra: bytes = b"") -> bytes:
    """One page for each content stream."""
    kids = b" ".join(b"%d 0 R" % (3 + 2 * number) for number in range(len(pages)))
    parts = [
        b"%PDF-1.7\n1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj\n",
        b"2 0 obj <</Type /Pages /Kids [" + kids + b"] /Count %d>> endobj\n" % len(pages),
    ]
    for number, content in enumerate(pages):
        body = zlib.compress(content) if compress else content
        how = b" /Filter /FlateDecode" if compress else b""
        page = 3 + 2 * number
        parts.append(b"%d 0 obj <</Type /Page /Parent 2 0 R /Contents %d 0 R>> endobj\n" % (page, page + 1))
        parts.append(b"%d 0 obj <</Length %d%s>>\nstream\n" % (page + 1, len(body), how))
        parts.append(body + b"\nendstream endobj\n")
    return b"".join(parts) + extra + b"trailer <</Root 1 0 R>>\n%%EOF\n"


def mp4(
    seconds: float, width: int, height: int, frames: int, version: int = 0, brand: bytes = b"isom", media: int = 1000
) -> bytes:
    """A video track and an audio track; the movie box after the media, as cameras write it."""
    times = struct.pack(">QQIQ" if version else ">IIII", 0, 0, 1000, round(seconds * 1000))
    versions = bytes([version, 0, 0, 0])
    size = struct.pack(">II", width << 16, height << 16)
    picture = _box(
        b"trak", _box(b"tkhd", versions + bytes(72) + size) + _media(b"vide", b"avc1", versions + times, frames)
    )
    sound = _box(b"trak", _box(b"tkhd", versions + bytes(80)) + _media(b"soun", b"mp4a", versions + times, 40))
    movie = _box(b"moov", _box(b"mvhd", versions + times + bytes(80)) + picture + sound)
    return _box(b"ftyp", brand + bytes(4) + brand) + _box(b"mdat", bytes(range(256)) * (media // 256)) + movie


def _media(handler: bytes, codec: bytes, times: bytes, frames: int) -> bytes:
    described = _box(b"stsd", struct.pack(">II", 0, 1) + _box(codec, bytes(70)))
    sizes = _box(b"stsz", struct.pack(">III", 0, 0, frames))
    table = _box(b"minf", _box(b"stbl", described + sizes))
    return _box(b"mdia", _box(b"mdhd", times) + _box(b"hdlr", bytes(8) + handler + bytes(13)) + table)


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def avi(frames: int, frames_a_second: int, width: int, height: int) -> bytes:
    main = struct.pack("<10I16x", 1_000_000 // frames_a_second, 0, 0, 0, frames, 0, 1, 0, width, height)
    stream = struct.pack("<4s4sIHHIIIIIII8x", b"vids", b"H264", 0, 0, 0, 0, 1, frames_a_second, 0, frames, 0, 0)
    form = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"H264", 0, 0, 0, 0, 0)
    streams = _list(b"strl", _riff(b"strh", stream) + _riff(b"strf", form))
    headers = _list(b"hdrl", _riff(b"avih", main) + streams)
    content = b"AVI " + headers + _list(b"movi", b"")
    return struct.pack("<4sI", b"RIFF", len(content)) + content

def raw_avi(pictures: np.ndarray, frames_a_second: int) -> bytes:
    """`pictures`: frames x height x width x 3 bytes of red, green and blue, stored as they are."""
    count, height, width, _ = pictures.shape
    row = -(-3 * width // 4) * 4
    size = row * height
    main = struct.pack("<14I", 1_000_000 // frames_a_second, 0, 0, 0x10, count, 0, 1, size, width, height, 0, 0, 0, 0)
    stream = struct.pack("<4s4sIHHIIIIIIII4H", b"vids", b"DIB ", 0, 0, 0, 0, 1, frames_a_second, 0, count, size, 0, 0, 0, 0, width, height)
    form = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    headers = _list(b"hdrl", _riff(b"avih", main) + _list(b"strl", _riff(b"strh", stream) + _riff(b"strf", form)))
    frames = b""
    index = b""
    for picture in pictures:
        # From the lowest row up, blue before green before red, each row filled up to whole words.
        rows = np.zeros((height, row), np.uint8)
        rows[:, : 3 * width] = picture[::-1, :, ::-1].reshape(height, -1)
        index += struct.pack("<4sIII", b"00db", 0x10, 4 + len(frames), size)
        frames += _riff(b"00db", rows.tobytes())
    content = b"AVI " + headers + _list(b"movi", frames) + _riff(b"idx1", index)
    return struct.pack("<4sI", b"RIFF", len(content)) + content


def _riff(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body


def _list(name: bytes, body: bytes) -> bytes:
    return _riff(b"LIST", name + body)
