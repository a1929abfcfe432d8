"""Reads WAV files: PCM of 8, 16, 24 and 32 bits and floating point, of any number of channels."""

import struct
from dataclasses import dataclass
from typing import Optional

import numpy as np

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE

# Above this a sample rate is damage, not sound; and no more samples than this are read, to bound the memory.
HIGHEST_SAMPLE_RATE = 1_000_000
MOST_SAMPLES = 40_000_000


@dataclass(frozen=True)
class Wav:
    sample_rate: int
    channels: int
    bits: int
    encoding: int
    bytes_a_second: int
    body: memoryview  # the samples as they are stored

    @property
    def frames(self) -> int:
        """Samples of one channel, of a coding that has them one after the other."""
        return len(self.body) // (self.channels * self.bits // 8)

    @property
    def seconds(self) -> Optional[float]:
        if self.encoding in (PCM, FLOAT):
            return round(self.frames / self.sample_rate, 4)
        return round(len(self.body) / self.bytes_a_second, 4) if self.bytes_a_second else None

    def samples(self, limit_frames: int) -> Optional[np.ndarray]:
        """The first frames as one channel (the mean of all), from -1 to 1; None for a coding that is not PCM."""
        if self.encoding not in (PCM, FLOAT):
            return None
        frames = min(self.frames, limit_frames, MOST_SAMPLES // self.channels)
        stored = self.body[: frames * self.channels * self.bits // 8]
        values = _decode(stored, self.bits, self.encoding)
        if values is None:
            return None
        # A damaged floating-point file can hold anything; silence is the honest reading of what is no number.
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        return np.clip(values.reshape(-1, self.channels).mean(axis=1), -1, 1)


def read_wav(data: bytes) -> Optional[Wav]:
    """None when this is not a WAV file. Raises ValueError when its header is cut short or senseless.

    A file whose sound is cut short, or that was streamed and so does not know its length, is read as far as it goes.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    description = None
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        body = memoryview(data)[position + 8 : position + 8 + length]
        if name == b"fmt " and len(body) >= 16:
            description = body
        elif name == b"data" and description is not None:
            return _describe(description, body)
        position += 8 + length + length % 2
    raise ValueError(f"the WAV file is damaged: it has no {'header' if description is None else 'sound'}")


def _describe(description: memoryview, body: memoryview) -> Wav:
    encoding, channels, sample_rate, bytes_a_second, _, bits = struct.unpack_from("<HHIIHH", description)
    if encoding == EXTENSIBLE and len(description) >= 26:
        encoding = struct.unpack_from("<H", description, 24)[0]
    if not channels or not 0 < sample_rate <= HIGHEST_SAMPLE_RATE:
        raise ValueError(f"the WAV file is damaged: it claims {channels} channels of {sample_rate} samples a second")
    if encoding in (PCM, FLOAT) and (bits < 8 or bits % 8):
        raise ValueError(f"the WAV file is damaged: it claims samples of {bits} bits")
    return Wav(sample_rate, channels, bits, encoding, bytes_a_second, body)


def _decode(stored: memoryview, bits: int, encoding: int) -> Optional[np.ndarray]:
    if encoding == FLOAT and bits in (32, 64):
        # Anything louder than this is damage; cut off before numpy could overflow on it.
        return np.clip(np.frombuffer(stored, f"<f{bits // 8}").astype(np.float32), -1e6, 1e6)
    if encoding != PCM:
        return None
    if bits == 8:
        return (np.frombuffer(stored, np.uint8).astype(np.float32) - 128) / 128
    if bits in (16, 32):
        return np.frombuffer(stored, f"<i{bits // 8}").astype(np.float32) / (1 << (bits - 1))
    if bits == 24:
        # Three bytes into the upper ones of four: that keeps the sign.
        widened = np.zeros((len(stored) // 3, 4), np.uint8)
        widened[:, 1:] = np.frombuffer(stored, np.uint8).reshape(-1, 3)
        return widened.view("<i4").ravel().astype(np.float32) / (1 << 31)
    return None
