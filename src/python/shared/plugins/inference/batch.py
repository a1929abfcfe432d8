"""The batch base under the name that plugins of `shared` import."""

from engine.inference.services import BaseBatchInferenceService

__all__ = ["BaseBatchInferenceService"]
