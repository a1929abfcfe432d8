"""The vectors a manifest declares, in both spellings that plugins are written in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugin_worker.failures import InvalidPlugin
from plugin_worker.limits import EMBEDDING_DIM, FEATURES

_OLDER_SPELLING = {
    "name": "feature_name",
    "type": "feature_type",
    "dimensions": "embedding_dim",
    "distance": "distance_metric",
}
_METRICS = {"cosine": "cosine", "euclid": "euclid", "euclidean": "euclid", "l2": "euclid", "dot": "dot"}


@dataclass(frozen=True, slots=True)
class Feature:
    """A vector output: the column the processor writes under `feature_name`, `embedding_dim` numbers a row."""

    feature_name: str
    embedding_dim: int
    distance_metric: str = "cosine"

    def as_message(self) -> dict[str, Any]:
        return {
            "feature_name": self.feature_name,
            "feature_type": "embedding",
            "embedding_dim": self.embedding_dim,
            "distance_metric": self.distance_metric,
        }


def read_features(declared: Any, warnings: list[str]) -> tuple[Feature, ...]:
    """Raises InvalidPlugin for an entry that cannot be; what is understood all the same is added to `warnings`."""
    if declared is None:
        return ()
    if not isinstance(declared, (list, tuple)):
        raise InvalidPlugin(f"features must be a list of dicts, not a {type(declared).__name__}.")
    features: list[Feature] = []
    for index, entry in enumerate(declared):
        feature = _read_feature(entry, f"features[{index}]", warnings)
        if feature is None:
            continue
        if any(other.feature_name == feature.feature_name for other in features):
            raise InvalidPlugin(f"features: the name {feature.feature_name!r} occurs twice.")
        features.append(feature)
    if len(features) > FEATURES:
        raise InvalidPlugin(f"features: at most {FEATURES} vectors, this plugin declares {len(features)}.")
    return tuple(features)


def _read_feature(declared: Any, where: str, warnings: list[str]) -> Feature | None:
    entry = _current_spelling(declared, where, warnings)
    name = entry.get("feature_name")
    if not isinstance(name, str) or not name:
        raise InvalidPlugin(f"{where}.feature_name must be a non-empty string.")
    kind = entry.get("feature_type", "embedding")
    if kind == "vector":
        kind = "embedding"
    if kind != "embedding":
        warnings.append(
            f"{where} ({name}) is of type {kind!r}, not a vector: its column is stored as a document field."
        )
        return None
    size = entry.get("embedding_dim")
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= EMBEDDING_DIM:
        raise InvalidPlugin(f"{where}.embedding_dim must be a whole number from 1 to {EMBEDDING_DIM}, not {size!r}.")
    metric = _METRICS.get(str(entry.get("distance_metric", "cosine")).lower())
    if metric is None:
        raise InvalidPlugin(f"{where}.distance_metric must be cosine, euclid or dot, not {entry['distance_metric']!r}.")
    return Feature(name, size, metric)


def _current_spelling(declared: Any, where: str, warnings: list[str]) -> dict[str, Any]:
    if not isinstance(declared, Mapping):
        raise InvalidPlugin(f"{where} must be a dict, not a {type(declared).__name__}.")
    entry = dict(declared)
    older = [key for key in _OLDER_SPELLING if key in entry]
    for key in older:
        entry.setdefault(_OLDER_SPELLING[key], entry[key])
    if older:
        renamed = ", ".join(f"{key} → {_OLDER_SPELLING[key]}" for key in older)
        warnings.append(f"{where} uses an older spelling; read as {renamed}.")
    return entry
