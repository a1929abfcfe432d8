"""Weights of one file or directory, by format. Formats that can run code when loaded are refused."""

import os
from typing import Any

_BY_PREFERENCE = (".safetensors", ".onnx", ".pt", ".pth", ".bin", ".npz", ".npy", ".json")


def load_weights(path: str) -> Any:
    """What the file holds.

    `.safetensors .pt .pth .bin`: a dict of tensors (numpy arrays when torch is not installed, safetensors only).
    `.onnx`: an onnxruntime session. `.npy .npz`: arrays. `.json`: the parsed value. A directory: its weight files, several
    safetensors files merged. Raises ValueError for other formats, ImportError when the library for it is missing.
    """
    if not os.path.isdir(path):
        return _load_file(path)
    names = sorted(os.listdir(path))
    for suffix in _BY_PREFERENCE:
        files = [os.path.join(path, name) for name in names if name.endswith(suffix)]
        if files and suffix in (".safetensors", ".bin"):
            merged: dict[str, Any] = {}
            for file in files:
                merged.update(_load_file(file))
            return merged
        if files:
            return _load_file(files[0])
    raise ValueError(f"The model directory holds no file in a format that can be loaded: {', '.join(names[:20])}")


def _load_file(path: str) -> Any:
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".safetensors":
        return _load_safetensors(path)
    if suffix in (".pt", ".pth", ".bin"):
        import torch

        # weights_only: a pickle from elsewhere must not run code here.
        return torch.load(path, map_location="cpu", weights_only=True)
    if suffix == ".onnx":
        import onnxruntime

        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    if suffix in (".npy", ".npz"):
        import numpy

        return numpy.load(path, allow_pickle=False)
    if suffix == ".json":
        import json

        with open(path, encoding="utf-8") as file:
            return json.load(file)
    raise ValueError(
        f"Models in the format {suffix or 'without a suffix'} are not loaded: use safetensors, onnx or pt."
    )


def _load_safetensors(path: str) -> Any:
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "torch":
            raise
        from safetensors.numpy import load_file
    return load_file(path)
