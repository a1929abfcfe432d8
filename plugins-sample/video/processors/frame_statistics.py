"""What the frames of a video show: figures for people, and a vector for comparing videos."""

from typing import Any, Dict, Optional

import numpy as np

from .frames import Frames

SHADES = 4
FIELDS = 8
DIMENSIONS = SHADES**3 + 2 * FIELDS**2

# Share of the colours that must change from one frame to the next for a new scene.
CUT = 0.5

UNKNOWN = {
    "frames_sampled": None,
    "brightness": None,
    "brightness_change": None,
    "contrast": None,
    "motion": None,
    "scene_change_score": None,
    "scene_changes": None,
}


def describe_frames(frames: Optional[Frames]) -> Dict[str, Any]:
    """All None without frames. Brightness, contrast, motion and scores are from 0 to 1."""
    if frames is None:
        return dict(UNKNOWN)
    brightness = frames.pictures.mean(axis=3) / 255
    changes = _scene_changes(_color_shares(frames.pictures))
    means = brightness.mean(axis=(1, 2))
    return {
        "frames_sampled": len(frames.pictures),
        "brightness": round(float(means.mean()), 4),
        "brightness_change": round(float(means.std()), 4),
        "contrast": round(float(brightness.std(axis=(1, 2)).mean()), 4),
        "motion": round(float(np.abs(np.diff(brightness, axis=0)).mean()), 4) if len(changes) else 0.0,
        "scene_change_score": round(float(changes.max()), 4) if len(changes) else 0.0,
        "scene_changes": [frames.seconds[place + 1] for place in np.flatnonzero(changes > CUT)],
    }


def embed_frames(frames: Frames) -> np.ndarray:
    """192 numbers of length 1: the colours, where it is bright, and where it moves, each a third of the weight."""
    brightness = frames.pictures.mean(axis=3)
    fields = _fields(brightness)
    colors = np.sqrt(_color_shares(frames.pictures).mean(axis=0))
    layout = fields.mean(axis=0) - fields.mean()
    motion = np.abs(np.diff(fields, axis=0)).mean(axis=0) if len(fields) > 1 else np.zeros(FIELDS**2)
    vector = np.concatenate([_unit(part.round(6)) for part in (colors, layout, motion)])
    return _unit(vector).astype(np.float32)


def _color_shares(pictures: np.ndarray) -> np.ndarray:
    """Share of each of 64 colours in each frame."""
    shades = pictures.reshape(len(pictures), -1, 3).astype(np.int64) * SHADES // 256
    colors = shades @ [SHADES**2, SHADES, 1]
    return np.stack([np.bincount(frame, minlength=SHADES**3) for frame in colors]) / colors.shape[1]


def _scene_changes(shares: np.ndarray) -> np.ndarray:
    """From each frame to the next: 0 when the colours are the same, 1 when none of them stays."""
    return np.abs(np.diff(shares, axis=0)).sum(axis=1) / 2


def _fields(brightness: np.ndarray) -> np.ndarray:
    """Mean brightness of 8 x 8 fields of each frame."""
    rows = np.array_split(brightness, FIELDS, axis=1)
    parts = [part.mean(axis=(1, 2)) for row in rows for part in np.array_split(row, FIELDS, axis=2)]
    return np.stack(parts, axis=1)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length else vector
