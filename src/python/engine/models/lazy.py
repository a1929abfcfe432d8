"""Models loaded at first use and kept for the life of the worker."""

import functools
from collections.abc import Callable
from typing import Any

from engine.models.loader import load_hf_model, load_namespace_model


class LazyModelMixin:
    """Set the class attributes, then call `get_model()`. `_instantiate_model` may be overridden for other libraries."""

    model_id: str = ""
    model_class: str = "AutoModel"
    tokenizer_class: str | None = "AutoTokenizer"
    torch_dtype: str = "float32"
    model_source: str = "huggingface"

    _lazy_model: Any = None
    _lazy_tokenizer: Any = None
    _lazy_loaded: bool = False

    def get_model(self) -> tuple[Any, Any]:
        """(model, tokenizer). Raises ServiceUnavailable when the appliance does not have `model_id`."""
        self.ensure_model_loaded()
        return self._lazy_model, self._lazy_tokenizer

    def ensure_model_loaded(self) -> None:
        if self._lazy_loaded:
            return
        if not self.model_id:
            raise ValueError(f"{type(self).__name__}.model_id is not set.")
        if self.model_source == "namespace":
            cached: Any = load_namespace_model(self.model_id)
        elif self.model_source == "huggingface":
            cached = load_hf_model(self.model_id, self.model_class, self.tokenizer_class, self.torch_dtype)
        else:
            raise ValueError(f'model_source is "huggingface" or "namespace", not {self.model_source!r}.')
        self._lazy_model, self._lazy_tokenizer = self._instantiate_model(cached)
        self._lazy_loaded = True

    @property
    def model(self) -> Any:
        return self.get_model()[0]

    @property
    def tokenizer(self) -> Any:
        return self.get_model()[1]

    def _instantiate_model(self, cached_data: Any) -> tuple[Any, Any]:
        """(model, tokenizer) of what the loader answered; for a namespace model the weights themselves and None."""
        if self.model_source == "namespace":
            return cached_data, None
        import torch
        import transformers

        # From the directory, not from the state dict: only the library knows how a checkpoint's names map to the class.
        found = _library_class(transformers, self.model_class)
        model = found.from_pretrained(cached_data["model_dir"], local_files_only=True)
        model.to(device=self._detect_device(), dtype=getattr(torch, self.torch_dtype))
        model.eval()
        tokenizer = None
        if cached_data["tokenizer_config"] is not None:
            found = _library_class(transformers, cached_data["tokenizer_config"]["class"])
            tokenizer = found.from_pretrained(cached_data["tokenizer_config"]["tokenizer_dir"], local_files_only=True)
        return model, tokenizer

    def _detect_device(self) -> str:
        """One of "cuda", "mps", "cpu"."""
        try:
            import torch
        except ModuleNotFoundError:
            return "cpu"
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"


def lazy_model(
    model_id: str,
    model_class: str = "AutoModel",
    tokenizer_class: str | None = "AutoTokenizer",
    torch_dtype: str = "float32",
    model_source: str = "huggingface",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Sets `self._model, self._tokenizer, self._device` before the method runs; one model per object and id."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            holders = self.__dict__.setdefault("_lazy_holders", {})
            holder = holders.get(model_id)
            if holder is None:
                holder = LazyModelMixin()
                holder.model_id = model_id
                holder.model_class = model_class
                holder.tokenizer_class = tokenizer_class
                holder.torch_dtype = torch_dtype
                holder.model_source = model_source
                holders[model_id] = holder
            self._model, self._tokenizer = holder.get_model()
            self._device = holder._detect_device()
            return method(self, *args, **kwargs)

        return call

    return decorate


def _library_class(library: Any, name: str) -> Any:
    found = getattr(library, name, None)
    if found is None:
        raise ValueError(f"{library.__name__} has no class {name}.")
    return found
