"""What a plugin reads of an object (python-surface.md §3.1)."""

import hashlib
import json
import unittest
from collections.abc import Sequence
from typing import Any

import support  # noqa: F401  the worker's own modules on the path

from plugin_worker.object_rows import InputMapping, InputPlan, ObjectRows, StoredObjects


def plan(
    inputs: tuple[str, ...] = ("text",),
    input_types: tuple[str, ...] = ("text",),
    mappings: dict[str, InputMapping] | None = None,
) -> InputPlan:
    return InputPlan("col_1", "reader_1_0_0", "1.0.0", "hash", inputs, input_types, mappings or {})


def blob(name: str, mime_type: str, data: Any = None, url: str | None = None) -> dict[str, Any]:
    kind = "text" if mime_type.startswith("text/") else "image"
    details = {"filename": None, "size_bytes": 4, "mime_type": mime_type, "hash": None}
    stored = {"blob_id": f"blob_{name}", "property": name, "type": kind, "details": details}
    return {**stored, "data": data} if url is None else {**stored, "url": url}


def item(*blobs: dict[str, Any], object_id: str = "obj_1", **fields: Any) -> bytes:
    """A line as src/metadata/partition-rows.ts writes it."""
    return line(object_id, fields, blobs)


def line(object_id: str, fields: dict[str, Any], blobs: Sequence[dict[str, Any]]) -> bytes:
    kinds = [[one["property"], one["type"], one["details"]["mime_type"], "url" not in one] for one in blobs]
    values = [
        value
        for one in blobs
        for value in (one["blob_id"], one["details"]["size_bytes"], one["url"] if "url" in one else one["data"])
    ]
    parts = ["0", object_id, *(json.dumps(part) for part in (fields, kinds, values))]
    return ("\t".join(parts) + "\n").encode()


def columns_of(given: InputPlan, *lines: bytes) -> dict[str, list[Any]]:
    return ObjectRows(given).columns(StoredObjects.read(lines, json.loads)[1])


def row(*blobs: dict[str, Any], of: InputPlan | None = None, **fields: Any) -> dict[str, Any]:
    columns = columns_of(of or plan(), item(*blobs, **fields))
    return {name: values[0] for name, values in columns.items()}


def mapped(path: str, override: Any = None) -> InputPlan:
    return plan(mappings={"text": InputMapping("payload", path, override)})


class AnInputColumnGets(unittest.TestCase):
    def test_the_blob_of_its_name_in_the_column_and_as_data(self) -> None:
        got = row(blob("text", "text/plain", "words"))
        self.assertEqual(
            [got[name] for name in ("text", "data", "mime_type", "blob_property", "blob_id", "size_bytes")],
            ["words", "words", "text/plain", "text", "blob_text", 0],
        )

    def test_the_text_blob_of_another_name_when_it_is_the_only_input(self) -> None:
        self.assertEqual(row(blob("note", "text/plain", "words"))["text"], "words")
        self.assertIsNone(row(blob("note", "text/plain", "words"), of=plan(("first", "second")))["first"])

    def test_nothing_else_where_it_is_mapped(self) -> None:
        self.assertIsNone(row(blob("note", "text/plain", "words"), of=mapped("body"))["text"])
        self.assertEqual(row(blob("note", "text/plain", "words"), of=mapped("body", "default"))["text"], "default")

    def test_what_a_path_leads_to(self) -> None:
        fields = {"meta": {"parts": [{"name": "a"}, {"name": "b"}]}}
        self.assertEqual(row(of=mapped("meta.parts.1.name"), **fields)["text"], "b")
        self.assertIsNone(row(of=mapped("meta.parts.2.name"), **fields)["text"])
        self.assertIsNone(row(of=mapped("meta.parts.name.x"), **fields)["text"])

    def test_a_literal_as_it_is(self) -> None:
        literal = plan(mappings={"text": InputMapping("literal", None, "always this")})
        self.assertEqual(row(blob("text", "text/plain", "words"), of=literal)["text"], "always this")

    def test_never_the_reference_of_a_file_that_calls_itself_text(self) -> None:
        self.assertIsNone(row(blob("image", "text/plain", url="s3://bkt_1/abc"))["text"])
        self.assertIsNone(row(blob("image", "image/png", url="s3://bkt_1/abc"))["text"])

    def test_the_url_of_a_file_by_the_kind_that_its_name_says(self) -> None:
        both = (blob("words", "text/plain", "words"), blob("shot", "image/png", url="s3://bkt_1/abc"))
        got = row(*both, of=plan(("image", "text"), ("image",)))
        self.assertEqual((got["image"], got["text"]), ("s3://bkt_1/abc", "words"))
        self.assertEqual((got["data"], got["source_url"], got["size_bytes"]), ("s3://bkt_1/abc", "s3://bkt_1/abc", 4))

    def test_the_field_of_an_object_and_the_blob_where_the_field_is_null(self) -> None:
        got = row(text="words in a field")
        self.assertEqual([got[name] for name in ("text", "data", "mime_type")], ["words in a field"] * 2 + ["text/plain"])
        self.assertEqual(row(blob("text", "text/plain", "words"), text=None)["text"], "words")
        self.assertEqual(row(blob("text", "text/plain", "words"), text="field")["text"], "field")


class Rows(unittest.TestCase):
    def test_keep_what_the_appliance_says_of_them_whatever_a_users_field_is_called(self) -> None:
        fields = {"document_id": "mine", "object_id": "mine", "__row": 7}
        theirs = line("obj_1", fields, [blob("text", "text/plain", "words")])
        got = {name: values[0] for name, values in columns_of(plan(), theirs).items()}
        self.assertEqual((got["object_id"], "__row" in got), ("obj_1", False))
        self.assertTrue(got["document_id"].startswith("doc_"))

    def test_of_several_shapes_stand_where_their_objects_stand(self) -> None:
        objects = [
            item(blob("text", "text/plain", "a"), object_id="obj_a", kind="x"),
            item(blob("shot", "image/png", url="s3://b/1"), object_id="obj_b"),
            item(blob("text", "text/plain", "c"), object_id="obj_c", kind="y"),
        ]
        columns = columns_of(plan(), *objects)
        self.assertEqual(columns["object_id"], ["obj_a", "obj_b", "obj_c"])
        self.assertEqual(columns["text"], ["a", None, "c"])
        self.assertEqual(columns["kind"], ["x", None, "y"])
        self.assertEqual(columns["mime_type"], ["text/plain", "image/png", "text/plain"])

    def test_share_no_value_that_a_plugin_could_change(self) -> None:
        columns = columns_of(plan(), item(tags=["a"]), item(tags=["a"]))
        columns["tags"][0].append("b")
        self.assertEqual(columns["tags"][1], ["a"])

    def test_have_the_id_of_their_first_document(self) -> None:
        # test/documents/parts.test.ts holds the appliance's own computation to the same.
        columns = columns_of(InputPlan("c", "p", "1.0.0", "h", (), (), {}), item(object_id="o"))
        self.assertEqual(columns["document_id"], ["doc_" + hashlib.sha256(b"c\no\n1.0.0\nh\n0").hexdigest()[:24]])


if __name__ == "__main__":
    unittest.main()
