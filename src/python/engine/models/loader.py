"""Models by id, from directories on this machine."""

import json
import os
from typing import Any

from engine.models.directories import has_hugging_face_model, hugging_face_directory, namespace_model_path
from engine.models.weights import load_weights

__all__ = ["ModelReference", "is_hf_model_cached", "load_hf_model", "load_hf_model_async", "load_namespace_model"]


def load_namespace_model(model_id: str) -> Any:
    """Weights of a model uploaded to the namespace, in the shape its format has (`load_weights`).

    Raises ServiceUnavailable when the namespace has no such model.
    """
    return load_weights(namespace_model_path(model_id))


def load_hf_model(
    hf_model_id: str,
    model_class: str = "AutoModel",
    tokenizer_class: str | None = None,
    torch_dtype: str = "float32",
) -> dict[str, Any]:
    """A dict with `state_dict`, `config` (a dict), `tokenizer_config`, `model_class`, `hf_model_id`, and where it came from.

    Raises ServiceUnavailable when the model is not kept on this appliance.
    """
    directory = hugging_face_directory(hf_model_id)
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    return {
        "state_dict": _cast(load_weights(directory), torch_dtype),
        "config": config,
        "tokenizer_config": {"tokenizer_dir": directory, "class": tokenizer_class} if tokenizer_class else None,
        "model_class": model_class,
        "hf_model_id": hf_model_id,
        "torch_dtype": torch_dtype,
        "model_dir": directory,
    }


class ModelReference:
    """A model that is loaded when its result is asked for, at most once."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._loaded: dict[str, Any] | None = None

    def result(self) -> dict[str, Any]:
        if self._loaded is None:
            self._loaded = load_hf_model(**self._arguments)
        return self._loaded


def load_hf_model_async(
    hf_model_id: str,
    model_class: str = "AutoModel",
    tokenizer_class: str | None = None,
    torch_dtype: str = "float32",
) -> ModelReference:
    """`load_hf_model` put off until `.result()`. Raises ServiceUnavailable at once for a model that is not here."""
    hugging_face_directory(hf_model_id)
    return ModelReference(
        {
            "hf_model_id": hf_model_id,
            "model_class": model_class,
            "tokenizer_class": tokenizer_class,
            "torch_dtype": torch_dtype,
        }
    )


def is_hf_model_cached(hf_model_id: str) -> bool:
    return has_hugging_face_model(hf_model_id)


def _cast(state_dict: Any, torch_dtype: str) -> Any:
    """Floating tensors in `torch_dtype`; integer ones, and arrays of a host without torch, stay as they are."""
    if not isinstance(state_dict, dict):
        return state_dict
    cast: dict[str, Any] = {}
    for name, tensor in state_dict.items():
        floating = getattr(tensor, "is_floating_point", None)
        if floating is not None and floating():
            import torch

            tensor = tensor.to(getattr(torch, torch_dtype))
        cast[name] = tensor
    return cast
