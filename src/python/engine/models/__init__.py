"""Model weights for plugin code."""

from engine.models.lazy import LazyModelMixin, lazy_model
from engine.models.loader import is_hf_model_cached, load_hf_model, load_hf_model_async, load_namespace_model

__all__ = [
    "LazyModelMixin",
    "is_hf_model_cached",
    "lazy_model",
    "load_hf_model",
    "load_hf_model_async",
    "load_namespace_model",
]
