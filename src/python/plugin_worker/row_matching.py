"""Which input row an output row belongs to."""

from collections.abc import Callable, Container, Sequence
from operator import is_
from typing import Any

import numpy as np
import pandas as pd


def as_array(origins: Sequence[int]) -> np.ndarray:
    """int64. Origins one after another are a range, and nothing is made for each of them."""
    if isinstance(origins, range):
        return np.arange(origins.start, origins.stop, origins.step, dtype=np.int64)
    return np.array(origins, dtype=np.int64)


def count_distinct(origins: Sequence[int]) -> int:
    """How many input rows they are: several outputs of one row have its origin each."""
    return len(origins) if isinstance(origins, range) else len(set(origins))


def match_rows(
    result: pd.DataFrame,
    origins: Sequence[int],
    document_ids: Sequence[Any],
    known_ids: Callable[[], Container[Any]],
) -> Sequence[int] | str:
    """The origin of every row of `result`, or why that cannot be told.

    `origins` and `document_ids` are those of the batch, aligned. By `document_id` when the result has the column and every
    value is of the batch, which also lets a step return more or fewer rows; else by position when the counts are equal, and no
    row says that it is another one: `known_ids` are those of all rows that the step may have seen.
    A frame without rows, which may have no columns either, matches none.
    """
    if len(result) == 0:
        return []
    ids = result["document_id"].tolist() if "document_id" in result.columns else None
    if ids is not None:
        by_id = _by_document_id(ids, origins, document_ids)
        if by_id is not None:
            return by_id
    if len(result) == len(origins):
        other = None if ids is None else _of_another_row(ids, document_ids, known_ids())
        if other is None:
            return origins
        return f"returned row {other[0]} with the document_id of another row: {other[1]!r}; keep each row's own, or none"
    return (
        f"returned {len(result)} rows for {len(origins)} and they cannot be matched: keep the column document_id "
        "with the value of the row that each output came from"
    )


def _by_document_id(ids: list[Any], origins: Sequence[int], document_ids: Sequence[Any]) -> Sequence[int] | None:
    if len(ids) == len(document_ids) and (all(map(is_, ids, document_ids)) or all(map(_same_text, ids, document_ids))):
        return origins
    owner: dict[str, int] = {}
    for document_id, origin in zip(document_ids, origins):
        # Rows that an earlier step made of one input row share its id, and that is as good: they share the origin.
        if not isinstance(document_id, str) or owner.setdefault(document_id, origin) != origin:
            return None
    matched = [owner.get(document_id, -1) if isinstance(document_id, str) else -1 for document_id in ids]
    return None if -1 in matched else matched


def _of_another_row(ids: list[Any], document_ids: Sequence[Any], known: Container[Any]) -> tuple[int, str] | None:
    """A place in the result whose id is another row's: of an earlier call, or of this one among ids that are nobody's."""
    for place, (found, own) in enumerate(zip(ids, document_ids)):
        if isinstance(found, str) and found != own and found in known:
            return place, found
    return None


def _same_text(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, str) and one == other)
