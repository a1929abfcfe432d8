"""Format, and what else the first bytes tell, of audio files whose sound is not decoded."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class AudioHeader:
    """None means that the file does not say, or says it in a way this plugin cannot read."""

    format: Optional[str] = None
    sample_rate: Optional[int] = None
    channels: Optional[int] = None
    bits_per_sample: Optional[int] = None
    duration_seconds: Optional[float] = None


def read_header(data: bytes) -> AudioHeader:
    """Knows FLAC and Ogg Vorbis with their figures; MP3, AAC, Opus, M4A, AIFF and WAV by name. Never raises."""
    if data[:4] == b"fLaC" and len(data) >= 26:
        return _flac(data)
    if data[:4] == b"OggS":
        return _ogg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return AudioHeader("wav")
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return AudioHeader("aiff")
    if data[4:8] == b"ftyp":
        return AudioHeader("m4a")
    if data[:3] == b"ID3":
        return AudioHeader("mp3")
    if len(data) > 2 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        # Both begin with eleven ones; the two bits of the layer are zero only in AAC.
        return AudioHeader("mp3" if data[1] & 0x06 else "aac")
    return AudioHeader()


def _flac(data: bytes) -> AudioHeader:
    # 20 bits of sample rate, 3 of channels - 1, 5 of bits - 1 and 36 of the number of samples, one after the other.
    packed = int.from_bytes(data[18:26], "big")
    sample_rate = packed >> 44
    samples = packed & (1 << 36) - 1
    if not sample_rate:
        return AudioHeader("flac")
    duration = round(samples / sample_rate, 4) if samples else None  # 0 means unknown
    return AudioHeader("flac", sample_rate, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, duration)


def _ogg(data: bytes) -> AudioHeader:
    if b"OpusHead" in data[:64]:
        return AudioHeader("opus")
    start = data.find(b"\x01vorbis", 0, 64)
    if start < 0 or len(data) < start + 16:
        return AudioHeader("ogg")
    sample_rate = int.from_bytes(data[start + 12 : start + 16], "little")
    # The last page says how many samples there were up to its end.
    last = data.rfind(b"OggS")
    samples = int.from_bytes(data[last + 6 : last + 14], "little", signed=True)
    known = sample_rate > 0 and samples > 0 and last > 0
    return AudioHeader(
        "ogg", sample_rate or None, data[start + 11] or None, None, round(samples / sample_rate, 4) if known else None
    )
