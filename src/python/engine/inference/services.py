"""Base of steps that infer on a batch."""

from typing import Any


class BaseBatchInferenceService:
    """Callable on a DataFrame. Subclasses override `_process_batch(batch) -> batch`; an empty batch is not handed to it."""

    def __init__(self, config: Any = None, progress_actor: Any = None, **kwargs: Any) -> None:
        self.config = config
        self.progress_actor = progress_actor
        self.kwargs = kwargs

    def __call__(self, batch: Any) -> Any:
        """`batch` with columns added, row for row."""
        if len(batch) == 0:
            return batch
        return self._process_batch(batch)

    def _process_batch(self, batch: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not override _process_batch(batch).")
