"""The loader under the name that the documentation allows."""

from engine.models.loader import load_namespace_model

__all__ = ["load_namespace_model"]
