"""The extractor: audio files in; format, duration, loudness, spectrum and an embedding out.

WAV files are decoded (`wav.py`) and compared by their spectrum (`spectrum.py`). Of other formats the header is read
(`header.py`) and only the bytes are compared; `decoded` says which it was. To decode those too, put a library's decoder
beside `read_wav` and its name into the manifest's `dependencies`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

import numpy as np
import pandas as pd

from .asset import read_asset
from .byte_statistics import BINS, byte_histogram
from .header import AudioHeader, read_header
from .spectrum import BANDS, describe_sound
from .wav import Wav, read_wav

EMBEDDING = "audio_features_embedding"

LOG_MEL = 3 * BANDS
UNKNOWN_SOUND = {
    "rms": None,
    "peak": None,
    "silence_share": None,
    "zero_crossing_rate": None,
    "spectral_centroid": None,
    "log_mel": None,
}


@dataclass
class AudioConfig:
    """`AudioParams` of the manifest, as the processor gets them; their limits are checked there."""

    max_seconds: int = 120
    max_bytes: int = 256 * 1024 * 1024


class AudioProcessor:
    def __init__(self, config: AudioConfig, progress_actor: Any = None):
        self.config = config

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Adds the columns of `AudioOutput`; None in all of them where a row has no audio."""
        if batch.empty:
            return batch
        described = [self.describe(read_asset(value, self.config.max_bytes)) for value in batch["audio"].tolist()]
        for name in described[0]:
            # As objects, or pandas would turn whole numbers beside a None into fractions.
            batch[name] = pd.Series([columns[name] for columns in described], index=batch.index, dtype=object)
        return batch

    def describe(self, data: Optional[bytes]) -> Dict[str, Any]:
        """The output columns for the bytes of one audio file. Raises ValueError for a damaged WAV file."""
        wav = read_wav(data or b"")
        header = read_header(data or b"") if wav is None else _wav_header(wav)
        samples = None if wav is None else wav.samples(self.config.max_seconds * wav.sample_rate)
        decoded = samples is not None and len(samples) > 0
        sound = describe_sound(samples, wav.sample_rate) if decoded else dict(UNKNOWN_SOUND)
        log_mel = sound.pop("log_mel")
        return {
            EMBEDDING: None if data is None else _embedding(data, log_mel),
            **asdict(header),
            "byte_count": None if data is None else len(data),
            "decoded": None if data is None else decoded,
            **sound,
        }


def _wav_header(wav: Wav) -> AudioHeader:
    return AudioHeader("wav", wav.sample_rate, wav.channels, wav.bits or None, wav.seconds)


def _embedding(data: bytes, log_mel: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Spectrum and bytes have places of their own, so decoded audio never resembles undecoded. None for silence."""
    vector = np.zeros(LOG_MEL + BINS, np.float32)
    if log_mel is None:
        vector[LOG_MEL:] = byte_histogram(data)
    else:
        vector[:LOG_MEL] = log_mel
    return vector if vector.any() else None
