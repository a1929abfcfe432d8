"""Colours of a decoded image: figures for people, and two vectors for comparing images."""

from typing import Any, Dict

import numpy as np

from .byte_statistics import unit

# Shades per channel in the histogram: 4 x 4 x 4 = 64 colours.
SHADES = 4
# The layout is the brightness of the image in 8 x 8 fields.
FIELDS = 8


def color_histogram(pixels: np.ndarray) -> np.ndarray:
    """How much of the image is of each of 64 colours, as a vector of length 1."""
    return unit(np.sqrt(_color_counts(pixels)))


def layout(pixels: np.ndarray) -> np.ndarray:
    """Where the image is brighter or darker than its mean, in 64 fields; zeros for an image of one brightness."""
    brightness = pixels.mean(axis=2)
    rows = _field_means(brightness, axis=0)
    fields = _field_means(rows, axis=1)
    return unit((fields - fields.mean()).round(6).ravel())


def describe_colors(pixels: np.ndarray) -> Dict[str, Any]:
    """Brightness and contrast from 0 to 1, the mean colour, and the commonest one, as #rrggbb."""
    brightness = pixels.mean(axis=2) / 255
    commonest = int(_color_counts(pixels).argmax())
    # The middle of the histogram's field stands for all shades in it.
    step = 256 // SHADES
    shades = [commonest // SHADES**2, commonest // SHADES % SHADES, commonest % SHADES]
    return {
        "brightness": round(float(brightness.mean()), 4),
        "contrast": round(float(brightness.std()), 4),
        "mean_color": _hexadecimal(pixels.reshape(-1, 3).mean(axis=0).round().astype(int).tolist()),
        "main_color": _hexadecimal([shade * step + step // 2 for shade in shades]),
    }


def _color_counts(pixels: np.ndarray) -> np.ndarray:
    shades = pixels.reshape(-1, 3).astype(np.int64) * SHADES // 256
    return np.bincount(shades @ [SHADES**2, SHADES, 1], minlength=SHADES**3)


def _field_means(values: np.ndarray, axis: int) -> np.ndarray:
    """Means of 8 equal parts along an axis; an image of fewer pixels than that repeats some."""
    length = values.shape[axis]
    starts = np.arange(FIELDS) * length // FIELDS
    ends = np.maximum((np.arange(FIELDS) + 1) * length // FIELDS, starts + 1)
    return np.stack([values.take(range(start, end), axis).mean(axis) for start, end in zip(starts, ends)], axis)


def _hexadecimal(color: list) -> str:
    return "#" + "".join(f"{part:02x}" for part in color)
