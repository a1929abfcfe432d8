"""Colours of a decoded image: figures for people, and two vectors for comparing images."""

from typing import Any, Dict, Optional

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
    fields = field_means(field_means(brightness, FIELDS, axis=0), FIELDS, axis=1)
    return unit((fields - fields.mean()).round(6).ravel())


def describe_colors(pixels: Optional[np.ndarray]) -> Dict[str, Any]:
    """Brightness and contrast from 0 to 1, the mean colour, and the commonest one, as #rrggbb; None without pixels."""
    if pixels is None:
        return {"brightness": None, "contrast": None, "mean_color": None, "main_color": None}
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


def field_means(values: np.ndarray, fields: int, axis: int) -> np.ndarray:
    """Means of equal parts along an axis; a part that ends within a pixel has its share of it."""
    values = np.moveaxis(values, axis, 0)
    length = len(values)
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])
    edges = np.arange(fields + 1) * length / fields
    whole = np.minimum(edges.astype(np.int64), length - 1)
    share = (edges - whole).reshape(-1, *[1] * (values.ndim - 1))
    up_to_edges = sums[whole] + share * (sums[whole + 1] - sums[whole])
    return np.moveaxis(np.diff(up_to_edges, axis=0) * fields / length, 0, axis)


def _color_counts(pixels: np.ndarray) -> np.ndarray:
    shades = pixels.reshape(-1, 3).astype(np.int64) * SHADES // 256
    return np.bincount(shades @ [SHADES**2, SHADES, 1], minlength=SHADES**3)


def _hexadecimal(color: list) -> str:
    return "#" + "".join(f"{part:02x}" for part in color)
