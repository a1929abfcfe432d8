"""From objects to the columns that plugins read (python-surface.md §3.1), many rows of one shape at a time.

The appliance hands objects over as it keeps them. Which blob is an input's, and which one `data` and `mime_type` tell of,
depends on the shape of an object alone: its fields' names and its blobs' properties and types. It is settled once a shape.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

# The appliance's own columns: given to every step, never stored as fields of a document.
SYSTEM_COLUMNS: Final = (
    "document_id",
    "object_id",
    "collection_id",
    "feature_extractor_id",
    "blob_id",
    "blob_property",
    "blob_type",
    "mime_type",
    "size_bytes",
    "data",
    "source_url",
)
_TAKEN: Final = frozenset((*SYSTEM_COLUMNS, "__row"))

Columns = dict[str, list[Any]]
_Values = Callable[["StoredObjects"], list[Any]]


@dataclass(frozen=True, slots=True)
class InputMapping:
    """Where an input comes from: a path into the object, or the `override` itself when `source_type` is literal."""

    source_type: str | None
    path: str | None
    override: Any


@dataclass(frozen=True, slots=True)
class InputPlan:
    """What makes rows of objects; the frame `run_partition` carries it."""

    collection_id: str
    plugin_id: str
    plugin_version: str
    code_hash: str
    inputs: tuple[str, ...]
    input_types: tuple[str, ...]
    mappings: dict[str, InputMapping]

    @staticmethod
    def parse(message: Mapping[str, Any]) -> "InputPlan":
        mappings = {
            key: InputMapping(given.get("source_type"), given.get("path"), given.get("override"))
            for key, given in message["mappings"].items()
        }
        return InputPlan(
            collection_id=message["collection_id"],
            plugin_id=message["plugin_id"],
            plugin_version=message["plugin_version"],
            code_hash=message["code_hash"],
            inputs=tuple(message["inputs"]),
            input_types=tuple(message["input_types"]),
            mappings=mappings,
        )


@dataclass(frozen=True, slots=True)
class StoredObjects:
    """Objects as the appliance keeps them (src/metadata/stored-blobs.ts), aligned.

    `kinds` are JSON lists of [property, type, MIME type, inline]; `values` have three members for each blob: its id, its size
    in bytes, and its inline value or its URL.
    """

    ids: Sequence[bytes]
    fields: Sequence[dict[str, Any]]
    kinds: Sequence[bytes]
    values: Sequence[list[Any]]

    @staticmethod
    def read(lines: Sequence[bytes], loads: Callable[[bytes], Any]) -> "tuple[list[int], StoredObjects]":
        """Of lines of ordinal, id, fields, kinds and values, with tabs between them (src/metadata/partition-rows.ts)."""
        # All at once: JSON has no tab, and a split of each line would take twice as long.
        cells = b"\t".join(lines).split(b"\t") if lines else []
        ordinals, ids, fields, kinds, values = (cells[place::_CELLS] for place in range(_CELLS))
        # Equal fields of objects are not shared: a plugin may change what is in them.
        without_fields = fields.count(b"{}") == len(fields)
        return list(map(int, ordinals)), StoredObjects(
            ids,
            [{}] * len(lines) if without_fields else _list(fields, loads),
            kinds,
            _list(values, loads),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, places: Sequence[int]) -> "StoredObjects":
        return StoredObjects(*([column[place] for place in places] for column in (self.ids, self.fields, self.kinds, self.values)))


# Of a line: ordinal, id, fields, kinds and values.
_CELLS: Final = 5


def _list(texts: Sequence[bytes], loads: Callable[[bytes], Any]) -> list[Any]:
    return loads(b"[%b]" % b",".join(texts))


class ObjectRows:
    """Columns of objects under one plan. Settled shapes are remembered, up to a bound."""

    def __init__(self, plan: InputPlan) -> None:
        self._plan = plan
        self._shapes: dict[Any, _Shape] = {}

    def columns(self, objects: StoredObjects) -> Columns:
        """By name, aligned with `objects`; a column that only some of them have is None in the others."""
        keys = _shape_keys(objects)
        if keys and keys.count(keys[0]) == len(keys):
            columns = self._shape(keys[0]).columns(objects)
        else:
            columns = {}
            places_of: dict[_ShapeKey, list[int]] = {}
            for place, key in enumerate(keys):
                places_of.setdefault(key, []).append(place)
            for key, places in places_of.items():
                some = self._shape(key).columns(objects.at(places))
                for name, values in some.items():
                    column = columns.setdefault(name, [None] * len(objects))
                    for place, value in zip(places, values):
                        column[place] = value
        columns["document_id"] = self._document_ids(objects.ids)
        columns["object_id"] = b"\n".join(objects.ids).decode().split("\n") if objects.ids else []
        columns["collection_id"] = [self._plan.collection_id] * len(objects)
        columns["feature_extractor_id"] = [self._plan.plugin_id] * len(objects)
        return columns

    def _shape(self, key: "_ShapeKey") -> "_Shape":
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            shape = self._shapes[key] = _Shape(self._plan, *key)
        return shape

    def _document_ids(self, object_ids: Sequence[bytes]) -> list[str]:
        """Of each row's first output, as the documents process computes it (src/documents/write-part.ts)."""
        plan = self._plan
        before = f"{plan.collection_id}\n".encode()
        after = f"\n{plan.plugin_version}\n{plan.code_hash}\n0".encode()
        sha256 = hashlib.sha256
        return ["doc_" + sha256(before + object_id + after).hexdigest()[:24] for object_id in object_ids]


# As many kinds of objects as are remembered at once; forgetting costs some microseconds.
_SHAPES: Final = 1000

# Names of the fields, and `kinds`.
_ShapeKey = tuple[tuple[str, ...], bytes]


def _shape_keys(objects: StoredObjects) -> list[_ShapeKey]:
    if any(objects.fields):
        return list(zip(map(tuple, objects.fields), objects.kinds))
    return [((), kinds) for kinds in objects.kinds]


# A blob of which no byte and no name told anything (an address, say) is what its type says.
_MIME_OF_TYPE: Final = {
    "text": "text/plain",
    "image": "image/*",
    "audio": "audio/*",
    "video": "video/*",
    "pdf": "application/pdf",
}


def _mime_of(kind: str, mime_type: str | None) -> str | None:
    """As the bytes or the sender said. `type` stays what the schema calls it, and decides only where nothing else does."""
    return _MIME_OF_TYPE.get(kind, mime_type) if mime_type in (None, "application/octet-stream") else mime_type


class _Shape:
    """How objects of one shape become rows."""

    def __init__(self, plan: InputPlan, fields: tuple[str, ...], kinds: bytes) -> None:
        self._plan = plan
        self._fields = fields
        self._blobs: tuple[tuple[str, str, str | None, bool], ...] = tuple(
            (name, kind, _mime_of(kind, mime_type), inline) for name, kind, mime_type, inline in json.loads(kinds)
        )
        self._primary = self._primary_blob()
        self._values = self._columns()

    def columns(self, objects: StoredObjects) -> Columns:
        columns = {name: values(objects) for name, values in self._values.items()}
        rows = len(objects)
        if self._primary is None:
            columns.update(self._text_in_a_field(columns, rows))
            return columns
        place = self._primary
        name, kind, mime_type, inline = self._blobs[place]
        columns["blob_id"] = [values[_VALUES * place] for values in objects.values]
        columns["blob_property"] = [name] * rows
        columns["blob_type"] = [kind] * rows
        columns["mime_type"] = [mime_type] * rows
        columns["size_bytes"] = [0] * rows if inline else [values[_VALUES * place + 1] for values in objects.values]
        columns["data"] = _content(place)(objects)
        columns["source_url"] = [None] * rows if inline else columns["data"]
        return columns

    def _text_in_a_field(self, columns: Columns, rows: int) -> Columns:
        """Text in a field of an object without a blob is as good as an inline text blob."""
        data: list[Any] = [None] * rows
        for name in reversed(self._plan.inputs):
            for place, value in enumerate(columns.get(name, ())):
                if isinstance(value, str):
                    data[place] = value
        return {
            "blob_id": [None] * rows,
            "blob_property": [None] * rows,
            "blob_type": ["text" if value is not None else None for value in data],
            "mime_type": ["text/plain" if value is not None else None for value in data],
            "size_bytes": [0] * rows,
            "data": data,
            "source_url": [None] * rows,
        }

    def _columns(self) -> dict[str, _Values]:
        names = dict.fromkeys((*self._fields, *(blob[0] for blob in self._blobs)))
        values = {name: self._record(name) for name in names if name not in _TAKEN}
        for name in self._plan.inputs:
            if name not in _TAKEN:
                values[name] = self._input(name)
        return values

    def _record(self, name: str) -> _Values:
        """A user's field, and where it is null the value of the first blob of that name which has one."""
        sources: list[_Values] = [_field(name)] if name in self._fields else []
        sources += [_content(place) for place, blob in enumerate(self._blobs) if blob[0] == name]
        return _first_value(sources)

    def _input(self, name: str) -> _Values:
        mapping = self._plan.mappings.get(name)
        if mapping is not None and mapping.source_type == "literal":
            return _constant(mapping.override)
        if mapping is not None and mapping.path is not None:
            # Who says where an input comes from does not want another blob in its place.
            first, *rest = mapping.path.split(".")
            record = self._record(first)
            found = _descended(record, rest) if rest else record
            return found if mapping.override is None else _first_value([found, _constant(mapping.override)])
        sources = [self._record(name)]
        if name in _TYPES:
            place = next((at for at, blob in enumerate(self._blobs) if _fits(blob, name)), None)
        else:
            place = self._fitting_blob() if len(self._plan.inputs) == 1 else None
        if place is not None:
            sources.append(_content(place))
        return _first_value(sources)

    def _primary_blob(self) -> int | None:
        """The blob that an input maps to, in schema order; else the first of a supported type; else the first."""
        for name in self._plan.inputs:
            mapping = self._plan.mappings.get(name)
            wanted = mapping.path if mapping is not None and mapping.path is not None else name
            for place, blob in enumerate(self._blobs):
                if blob[0] == wanted:
                    return place
        fitting = self._fitting_blob()
        if fitting is not None:
            return fitting
        return 0 if self._blobs else None

    def _fitting_blob(self) -> int | None:
        types = [kind for kind in self._plan.input_types if kind in _TYPES]
        for place, blob in enumerate(self._blobs):
            if any(_fits(blob, kind) for kind in types):
                return place
        return None


# Field names that say a kind of blob.
_TYPES: Final[dict[str, Callable[[str], bool]]] = {
    "text": lambda mime_type: mime_type.startswith("text/"),
    "image": lambda mime_type: mime_type.startswith("image/"),
    "video": lambda mime_type: mime_type.startswith("video/"),
    "audio": lambda mime_type: mime_type.startswith("audio/"),
    "pdf": lambda mime_type: mime_type == "application/pdf",
    "document": lambda mime_type: mime_type == "application/pdf" or mime_type.startswith("text/"),
}


def _fits(blob: tuple[str, str, str | None, bool], kind: str) -> bool:
    """A text input takes text, never the reference of a file that calls itself text."""
    return _TYPES[kind](blob[2] or "") and (kind != "text" or blob[3])


_VALUES: Final = 3


def _content(place: int) -> _Values:
    """Inline content as it is; bytes as their asset URL, never the bytes."""
    at = _VALUES * place + 2
    return lambda objects: [values[at] for values in objects.values]


def _field(name: str) -> _Values:
    return lambda objects: [fields[name] for fields in objects.fields]


def _constant(value: Any) -> _Values:
    if isinstance(value, (dict, list)):
        # One of its own for each row: what a plugin changes in it must not be in the others'.
        return lambda objects: [copy.deepcopy(value) for _ in range(len(objects))]
    return lambda objects: [value] * len(objects)


def _first_value(sources: Sequence[_Values]) -> _Values:
    """Of each row the first value that is not None."""
    if not sources:
        return _constant(None)
    if len(sources) == 1:
        return sources[0]

    def values(objects: StoredObjects) -> list[Any]:
        found = sources[0](objects)
        for source in sources[1:]:
            if all(value is not None for value in found):
                break
            found = [more if value is None else value for value, more in zip(found, source(objects))]
        return found

    return values


def _descended(record: _Values, path: Sequence[str]) -> _Values:
    def one(value: Any) -> Any:
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    return lambda objects: [one(value) for value in record(objects)]
