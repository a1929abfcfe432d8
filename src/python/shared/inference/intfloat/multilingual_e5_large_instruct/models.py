"""Config of the text embedding step under the name that `shared` gives it."""

from engine.inference.intfloat.multilingual_e5_large_instruct.models import InferenceConfigs

__all__ = ["InferenceConfigs"]
