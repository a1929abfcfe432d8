"""What a sound is like: loudness, pitch-like figures, and a vector of its log-mel spectrum."""

from typing import Any, Dict, List

import numpy as np

from .byte_statistics import unit

# Bands as wide as the ear hears them, over what every sample rate from telephone to studio can hold.
BANDS = 32
LOWEST_HERTZ, HIGHEST_HERTZ = 50.0, 8000.0

# Spectra of pieces this long, each half over the one before.
FRAME_SECONDS = 0.064
FRAMES_AT_ONCE = 2_048

# Quieter than this (of 1) is silence.
SILENCE = 0.001


def describe_sound(samples: np.ndarray, sample_rate: int) -> Dict[str, Any]:
    """Figures of one channel of samples from -1 to 1; there is at least one sample."""
    spectra = _power_spectra(samples, sample_rate)
    power = sum(spectrum.sum(axis=0) for spectrum in spectra)
    hertz = np.fft.rfftfreq(2 * (len(power) - 1), 1 / sample_rate)
    signs = samples >= 0
    return {
        "rms": round(float(np.sqrt(np.mean(samples**2))), 6),
        "peak": round(float(np.abs(samples).max()), 6),
        "silence_share": round(float(np.mean(np.abs(samples) < SILENCE)), 4),
        "zero_crossing_rate": round(float(np.count_nonzero(signs[1:] != signs[:-1]) * sample_rate / len(samples)), 2),
        "spectral_centroid": round(float(power @ hertz / power.sum()), 2) if power.sum() > 0 else None,
        "log_mel": _log_mel_statistics(spectra, hertz),
    }


def _power_spectra(samples: np.ndarray, sample_rate: int) -> List[np.ndarray]:
    """Power by frequency of each frame, a few thousand frames an array."""
    size = 1 << max(6, round(np.log2(FRAME_SECONDS * sample_rate)))
    if len(samples) < size:
        samples = np.pad(samples, (0, size - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    window = np.hanning(size)
    return [
        np.abs(np.fft.rfft(frames[start : start + FRAMES_AT_ONCE] * window)) ** 2
        for start in range(0, len(frames), FRAMES_AT_ONCE)
    ]


def _log_mel_statistics(spectra: List[np.ndarray], hertz: np.ndarray) -> np.ndarray:
    """Mean, spread and change from frame to frame of each band: 96 numbers of length 1, or zeros for silence."""
    bands = _mel_bands(hertz)
    levels = np.log(np.concatenate([spectrum @ bands.T for spectrum in spectra]) + 1e-9)
    means = levels.mean(axis=0)
    spread = levels.std(axis=0)
    change = np.abs(np.diff(levels, axis=0)).mean(axis=0) if len(levels) > 1 else np.zeros(BANDS)
    # Without its own mean the spectrum's shape counts and not how loud the recording is.
    return unit(np.concatenate([means - means.mean(), spread, change]).round(6))


def _mel_bands(hertz: np.ndarray) -> np.ndarray:
    """Weights of each frequency in each band: overlapping triangles, evenly spaced on the mel scale."""
    mel = np.linspace(_to_mel(LOWEST_HERTZ), _to_mel(HIGHEST_HERTZ), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.clip(np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)), 0, None)


def _to_mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)
