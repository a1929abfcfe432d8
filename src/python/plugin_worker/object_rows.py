"""From objects to the columns that plugins read (python-surface.md §3.1), many rows of one shape at a time.

The appliance hands objects over as it keeps them. Which blob is an input's, and which one `data` and `mime_type` tell of,
depends on the shape of an object alone: its fields' names and its blobs' properties and types. It is settled once a shape.
"""

import hashlib
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
_Object = dict[str, Any]
_Values = Callable[[Sequence[_Object]], list[Any]]


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


class ObjectRows:
    """Columns of objects under one plan. Settled shapes are remembered, up to a bound."""

    def __init__(self, plan: InputPlan) -> None:
        self._plan = plan
        self._shapes: dict[Any, _Shape] = {}

    def columns(self, objects: Sequence[_Object]) -> Columns:
        """By name, aligned with `objects`; a column that only some of them have is None in the others."""
        groups: dict[Any, list[int]] = {}
        for place, key in enumerate(map(_shape_key, objects)):
            groups.setdefault(key, []).append(place)
        if len(groups) == 1:
            columns = self._shape(next(iter(groups))).columns(objects)
        else:
            columns = {}
            for key, places in groups.items():
                some = self._shape(key).columns([objects[place] for place in places])
                for name, values in some.items():
                    column = columns.setdefault(name, [None] * len(objects))
                    for place, value in zip(places, values):
                        column[place] = value
        columns["document_id"] = self._document_ids(objects)
        columns["object_id"] = [item["object_id"] for item in objects]
        columns["collection_id"] = [self._plan.collection_id] * len(objects)
        columns["feature_extractor_id"] = [self._plan.plugin_id] * len(objects)
        return columns

    def _shape(self, key: Any) -> "_Shape":
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            shape = self._shapes[key] = _Shape(self._plan, key)
        return shape

    def _document_ids(self, objects: Sequence[_Object]) -> list[str]:
        """Of each row's first output, as the documents process computes it (src/documents/write-part.ts)."""
        plan = self._plan
        before = f"{plan.collection_id}\n"
        after = f"\n{plan.plugin_version}\n{plan.code_hash}\n0"
        sha256 = hashlib.sha256
        return [
            "doc_" + sha256(f"{before}{item.get('identity') or item['object_id']}{after}".encode()).hexdigest()[:24]
            for item in objects
        ]


# As many kinds of objects as are remembered at once; forgetting costs some microseconds.
_SHAPES: Final = 1000


def _shape_key(item: _Object) -> Any:
    return (*item["fields"], None, *map(_blob_key, item["blobs"]))


def _blob_key(blob: dict[str, Any]) -> tuple[Any, ...]:
    return (blob["property"], blob["type"], blob["details"]["mime_type"], blob.get("url") is None)


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

    def __init__(self, plan: InputPlan, key: tuple[Any, ...]) -> None:
        self._plan = plan
        middle = key.index(None)
        self._fields = key[:middle]
        self._blobs: tuple[tuple[str, str, str | None, bool], ...] = tuple(
            (name, kind, _mime_of(kind, mime_type), inline) for name, kind, mime_type, inline in key[middle + 1 :]
        )
        self._primary = self._primary_blob()
        self._values = self._columns()

    def columns(self, objects: Sequence[_Object]) -> Columns:
        columns = {name: values(objects) for name, values in self._values.items()}
        rows = len(objects)
        if self._primary is None:
            columns.update(self._text_in_a_field(columns, rows))
            return columns
        place = self._primary
        kept = [item["blobs"][place] for item in objects]
        name, kind, mime_type, inline = self._blobs[place]
        columns["blob_id"] = [blob["blob_id"] for blob in kept]
        columns["blob_property"] = [name] * rows
        columns["blob_type"] = [kind] * rows
        columns["mime_type"] = [mime_type] * rows
        columns["size_bytes"] = [0] * rows if inline else [blob["details"]["size_bytes"] or 0 for blob in kept]
        columns["data"] = [blob.get("data") for blob in kept] if inline else [blob["url"] for blob in kept]
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
        sources += [self._blob(place) for place, blob in enumerate(self._blobs) if blob[0] == name]
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
            sources.append(self._blob(place))
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

    def _blob(self, place: int) -> _Values:
        """Inline content as it is; bytes as their asset URL, never the bytes."""
        key = "data" if self._blobs[place][3] else "url"
        return lambda objects: [item["blobs"][place].get(key) for item in objects]


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


def _field(name: str) -> _Values:
    return lambda objects: [item["fields"][name] for item in objects]


def _constant(value: Any) -> _Values:
    return lambda objects: [value] * len(objects)


def _first_value(sources: Sequence[_Values]) -> _Values:
    """Of each row the first value that is not None."""
    if not sources:
        return _constant(None)
    if len(sources) == 1:
        return sources[0]

    def values(objects: Sequence[_Object]) -> list[Any]:
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
