"""Base of a plugin's realtime service."""

from typing import Any


class BaseInferenceService:
    """Subclasses override `run_inference(inputs, parameters)` or `__call__`; both answer a dict."""

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    async def run_inference(self, inputs: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} overrides neither run_inference nor __call__.")

    async def __call__(self, inputs: dict[str, Any], parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        return await self.run_inference(inputs, parameters or {})
