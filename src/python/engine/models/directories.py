"""Where models lie on this machine. The worker hands the directories in; plugin code asks by model id."""

from collections.abc import Mapping

from engine.services.unavailable import unavailable

_namespace: dict[str, str] = {}
_hugging_face: dict[str, str] = {}


def use_model_directories(namespace: Mapping[str, str], hugging_face: Mapping[str, str]) -> None:
    """Replaces both tables: model id to an absolute file or directory. Called by the worker."""
    _namespace.clear()
    _namespace.update(namespace)
    _hugging_face.clear()
    _hugging_face.update(hugging_face)


def namespace_model_path(model_id: str) -> str:
    """Raises ServiceUnavailable for a model that was not handed to this worker."""
    path = _namespace.get(model_id)
    if path is None:
        raise unavailable("namespace model", model_id)
    return path


def hugging_face_directory(model_id: str) -> str:
    """Raises ServiceUnavailable for a model that is not kept on this appliance: it downloads none while rows run."""
    path = _hugging_face.get(model_id)
    if path is None:
        raise unavailable("Hugging Face model", model_id)
    return path


def has_hugging_face_model(model_id: str) -> bool:
    return model_id in _hugging_face
