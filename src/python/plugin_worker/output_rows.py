"""What of a step's result is stored, and in which form."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from plugin_worker.failures import Failure, failure_of
from plugin_worker.features import Feature
from plugin_worker.fields import ABSENT, encode_rows
from plugin_worker.object_rows import SYSTEM_COLUMNS
from plugin_worker.partition_input import Slice
from plugin_worker.partition_output import OutputBlock
from plugin_worker.plugin_loader import Plugin
from plugin_worker.step_input import CHANGEABLE
from plugin_worker.tracebacks import clip
from plugin_worker.vectors import VectorBlock, no_vectors, to_block


class OutputRows:
    """Stored are columns the steps added, other input columns they changed, and input columns that output_schema names.

    Whether a step changed a column is asked row by row: what a document has must not depend on the rows beside it.
    Never stored: the appliance's own columns, embeddings (they are vectors), and inputs that output_schema does not name.
    """

    def __init__(
        self, features: Sequence[Feature], input_fields: Sequence[str], output_fields: Sequence[str], plugin: Plugin
    ) -> None:
        self._features = features
        self._plugin = plugin
        self._never = {*SYSTEM_COLUMNS, *(feature.feature_name for feature in features)}
        self._inputs = set(input_fields)
        self._named = set(output_fields)
        self._added: dict[str, None] = {}

    def begin(self, rows: Slice, frame: pd.DataFrame, errors: dict[int, Failure]) -> None:
        """A new slice: `frame` as the steps get it, `errors` to add to, by origin."""
        self._rows = rows
        self._errors = errors
        self._frame_columns = set(frame.columns)
        self._before = {
            name: frame[name].tolist()
            for name in frame.columns
            if name not in self._never and (name in self._named or name not in self._inputs)
        }
        changeable = [name for name, cells in self._before.items() if not CHANGEABLE.isdisjoint(map(type, cells))]
        if changeable:
            # What a step changes inside of a cell is changed in the frame's own cells too.
            as_read = rows.read_again(range(len(rows.row_ids)))
            self._before.update({name: list(as_read[name]) for name in changeable})

    def blocks(self, result: pd.DataFrame, origins: Sequence[int], handled: bool) -> list[OutputBlock]:
        """`result` row by row; a row with a bad vector or a value that is not JSON goes to the errors of the slice.

        So does a row of which a cell raises when it is looked at: its class is the plugin's or a library's.
        """
        try:
            return [self._block(result, origins, handled)]
        except MemoryError:
            raise
        except BaseException as error:
            if len(origins) == 1:
                self._errors.setdefault(origins[0], failure_of(error, "output", self._plugin))
                return []
        rows = (self.blocks(result.iloc[[place]], [origin], handled) for place, origin in enumerate(origins))
        return [block for blocks in rows for block in blocks]

    def _block(self, result: pd.DataFrame, origins: Sequence[int], handled: bool) -> OutputBlock:
        vectors = [self._vectors(result, feature) for feature in self._features]
        names, columns, gaps = self._stored(result, origins, handled)
        fields, wrong = encode_rows(names, columns, len(origins), gaps)
        for block in vectors:
            self._fail(block.errors, origins, "InvalidEmbedding")
        self._fail(wrong, origins, "InvalidField")
        return OutputBlock(origins, fields, [block.values for block in vectors], [block.missing for block in vectors])

    def _vectors(self, result: pd.DataFrame, feature: Feature) -> VectorBlock:
        if feature.feature_name not in result.columns:
            return no_vectors(len(result), feature)
        return to_block(result[feature.feature_name].tolist(), feature)

    def _stored(
        self, result: pd.DataFrame, origins: Sequence[int], handled: bool
    ) -> tuple[list[str], list[list[Any]], bool]:
        gaps = False
        names: list[str] = []
        columns: list[list[Any]] = []
        for name in result.columns:
            if name in self._never:
                continue
            if name not in self._frame_columns:
                cells = result[name].tolist()
                if handled:
                    self._added[name] = None
            elif name in self._before:
                cells = result[name].tolist()
                same = _same(cells, [self._before[name][origin] for origin in origins])
                named = name in self._named
                if all(same) and not named:
                    continue
                gaps = gaps or (any(same) and not named)
                # As it came: a column of whole numbers and nulls has been floats in the frame.
                raw = self._rows.column(name)
                cells = [
                    cell if not kept else raw[origin] if named else ABSENT
                    for cell, origin, kept in zip(cells, origins, same)
                ]
            else:
                continue
            names.append(name)
            columns.append(cells)
        if not handled:
            for name in self._added:
                if name not in names:
                    names.append(name)
                    columns.append([None] * len(origins))
        return names, columns, gaps

    def _fail(self, wrong: dict[int, str], origins: Sequence[int], exception: str) -> None:
        for place, message in wrong.items():
            failure = Failure("validation", exception, clip(message, 2048), "", "output")
            self._errors.setdefault(origins[place], failure)


# True is equal to 1, and another value in JSON.
_BOOLEANS: Final = frozenset((bool, np.bool_))


def _same(one: list[Any], other: list[Any]) -> list[bool]:
    try:
        return [
            a is b or bool((type(a) in _BOOLEANS) is (type(b) in _BOOLEANS) if a == b else (a != a and b != b))
            for a, b in zip(one, other)
        ]
    except BaseException:
        # Arrays, tensors and the like, which have no one answer: they count as changed.
        return [_same([a], [b])[0] for a, b in zip(one, other)] if len(one) > 1 else [False]
