"""What a pipeline's `prepare` is given: a slice of the dataset with the few methods that plugins use of Ray's."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd


class Dataset:
    """Each method returns a new dataset. Anything else asked of it is asked of the DataFrame itself."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def filter(self, fn: Callable[[dict[str, Any]], bool], **_: Any) -> "Dataset":
        """Rows for which `fn(row)` holds; a row is a dict."""
        kept = [place for place, row in enumerate(self.iter_rows()) if fn(row)]
        return Dataset(self.frame.iloc[kept].reset_index(drop=True))

    def map(self, fn: Callable[[dict[str, Any]], dict[str, Any]], **_: Any) -> "Dataset":
        """`fn(row)` for every row."""
        rows = [fn(row) for row in self.iter_rows()]
        names = dict.fromkeys(name for row in rows for name in row) or dict.fromkeys(self.frame.columns)
        return Dataset(pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}))

    def map_batches(self, fn: Callable[[pd.DataFrame], pd.DataFrame], **_: Any) -> "Dataset":
        """`fn(frame)` once for the whole slice."""
        return Dataset(fn(self.frame.copy()))

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        names = list(self.frame.columns)
        for cells in zip(*(self.frame[name].tolist() for name in names)):
            yield dict(zip(names, cells))

    def to_pandas(self) -> pd.DataFrame:
        return self.frame

    def count(self) -> int:
        return len(self.frame)

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, key: Any) -> Any:
        return self.frame[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.frame, name)


def prepared(prepare: Callable[[Any], Any]) -> Callable[[pd.DataFrame], Any]:
    """`prepare` as a step: frame in, frame out."""

    def call(frame: pd.DataFrame) -> Any:
        result = prepare(Dataset(frame))
        return result.frame if isinstance(result, Dataset) else result

    return call
