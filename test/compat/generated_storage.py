"""Namespaces, buckets, objects and uploads through the generated client (`mixpeek.api.*`)."""

from __future__ import annotations

import base64
import urllib.request
from typing import Any

import mixpeek.api as api
import mixpeek.models as models
from sdk_checks import Session

TEXTS = ("short", "a text that is long enough to be called a long one", "one more short")
#: The plugin raises on this one: a row that fails among rows that do not.
UNREADABLE = "unreadable"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PIXEL_BYTES = base64.b64decode(PIXEL.partition(",")[2])


def namespaces(session: Session) -> None:
    served = api.NamespacesApi(session.client())
    created = session.call(
        served.create_namespace,
        models.CreateNamespaceRequest(
            namespace_name="sdk_generated",
            description="made by the SDK",
            feature_extractors=[models.BaseFeatureExtractorModelInput(feature_extractor_name="text", version="v1")],
        ),
    )
    assert created.namespace_id.startswith("ns_") and created.namespace_name == "sdk_generated"
    assert created.namespace_ready is True and created.mode == "managed"
    name = created.namespace_name
    assert session.call(served.get_namespace, name).namespace_id == created.namespace_id
    listed = session.call(served.list_namespaces, list_namespaces_request=models.ListNamespacesRequest())
    assert {session.namespace, created.namespace_id} <= {one.namespace_id for one in listed.results}
    page = session.call(served.list_namespaces_get, limit=1, include_total=True)
    assert len(page.results) == 1 and page.total_count == 2 and page.pagination.total == 2
    patch = models.PatchNamespaceRequest(description="patched")
    assert session.call(served.patch_namespace, name, patch).description == "patched"
    update = models.UpdateNamespaceRequest(namespace_name="sdk_renamed")
    assert session.call(served.update_namespace, created.namespace_id, update).namespace_name == "sdk_renamed"
    removed = session.call(served.delete_namespace, created.namespace_id)
    task = session.call(api.TasksApi(session.client()).get_task, removed["task_id"])
    assert task.task_type == "api_namespaces_delete"


def buckets(session: Session) -> str:
    served = api.BucketsApi(session.client())
    schema = models.BucketSchemaInput.from_dict(
        {
            "properties": {
                "text": {"type": "text", "required": True},
                "photo": {"type": "image"},
                "title": {"type": "string", "description": "a title", "enum": ["a", "b"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            }
        }
    )
    request = models.BucketCreateRequest(
        bucket_name="sdk bucket", description="texts", bucket_schema=schema, metadata={"team": "sdk"}
    )
    bucket = session.call(served.create_bucket, request)
    assert bucket.bucket_id.startswith("bkt_") and bucket.metadata == {"team": "sdk"}
    assert bucket.bucket_schema.properties["tags"].items.type == "string"
    assert bucket.object_count == 0 and bucket.total_size_bytes == 0
    assert session.call(served.get_bucket, "sdk bucket").bucket_id == bucket.bucket_id
    listed = session.call(served.list_buckets, list_buckets_request=models.ListBucketsRequest(search="sdk"))
    assert [one.bucket_id for one in listed.results] == [bucket.bucket_id]
    assert session.call(served.list_buckets_get, limit=5).total_count >= 1
    assert session.call(served.list_buckets_get, search="no such bucket").results == []
    patch = models.BucketPatchRequest(description="patched")
    assert session.call(served.patch_bucket, bucket.bucket_id, patch).description == "patched"
    update = models.BucketUpdateRequest(description="updated")
    assert session.call(served.update_bucket, bucket.bucket_id, update).description == "updated"
    return bucket.bucket_id


def objects(session: Session, bucket_id: str) -> list[str]:
    served = api.BucketObjectsApi(session.client())
    first = session.call(served.create_object_buckets, bucket_id, text_object(TEXTS[0], title="a", tags=["x", "y"]))
    assert first.object_id.startswith("obj_") and first.status == "DRAFT"
    assert first.additional_properties["title"] == "a" and first.additional_properties["tags"] == ["x", "y"]
    assert first.blobs[0].var_property == "text" and first.blobs[0].details.size_bytes == len(TEXTS[0])

    wanted = [text_object(text) for text in [*TEXTS[1:], UNREADABLE]]
    request = models.CreateObjectsBatchRequest(objects=[*wanted, text_object("of an unknown field", field="nowhere")])
    many = session.call(served.create_objects_batch_buckets, bucket_id, request)
    assert (many.total_requested, many.succeeded_count, many.failed_count) == (4, 3, 1)
    assert many.failed[0].object_index == 3 and many.failed[0].error_type and many.failed[0].error

    photo = models.CreateObjectRequest.from_dict(
        {"blobs": [{"property": "photo", "type": "image", "data": PIXEL}, *text_object("a photo").to_dict()["blobs"]]}
    )
    with_photo = session.call(served.create_object_buckets, bucket_id, photo)
    assert with_photo.blobs[0].details.mime_type == "image/png"
    signed = session.call(served.get_object_buckets, bucket_id, with_photo.object_id, return_presigned_urls=True)
    assert urllib.request.urlopen(signed.blobs[0].presigned_url, timeout=10).read() == PIXEL_BYTES

    page = session.call(served.list_objects_buckets, bucket_id, limit=3, include_total=True)
    assert len(page.results) == 3 and page.pagination.total == 5
    rest = session.call(served.list_objects_get_buckets, bucket_id, limit=3, cursor=page.pagination.next_cursor)
    ids = {one.object_id for one in [*page.results, *rest.results]}
    assert len(ids) == 5
    patch = models.PatchObjectRequest.from_dict({"title": "b"})
    patched = session.call(served.patch_object_buckets, bucket_id, first.object_id, patch)
    assert patched.additional_properties["title"] == "b"
    update = models.UpdateObjectRequest.from_dict({"metadata": {"language": "en"}})
    session.call(served.update_object_buckets, bucket_id, first.object_id, update)
    unwanted = session.call(served.create_object_buckets, bucket_id, text_object("not wanted"))
    session.call(served.delete_object_buckets, bucket_id, unwanted.object_id, status=204)
    return [first.object_id, with_photo.object_id, *(one.object_id for one in many.succeeded)]


def text_object(text: str, *, field: str = "text", **fields: Any) -> models.CreateObjectRequest:
    blob = {"property": field, "type": "text", "data": text}
    return models.CreateObjectRequest.from_dict({"blobs": [blob], **fields})


def uploads(session: Session, bucket_id: str) -> None:
    served = api.BucketUploadsApi(session.client())
    request = models.CreateUploadRequest(
        filename="note.txt", content_type="text/plain", blob_property="text", object_metadata={"title": "a"}
    )
    upload = session.call(served.create_upload_buckets, bucket_id, request)
    assert upload.upload_id.startswith("upl_") and upload.status == "PENDING"
    put = urllib.request.Request(upload.presigned_url, b"an uploaded text", {"Content-Type": "text/plain"}, method="PUT")
    with urllib.request.urlopen(put, timeout=10) as answer:
        etag = answer.headers["ETag"].strip('"')
    confirm = models.ConfirmUploadRequest(etag=etag, file_size_bytes=16)
    confirmed = session.call(served.confirm_upload_buckets, bucket_id, upload.upload_id, confirm_upload_request=confirm)
    assert confirmed.status == "COMPLETED" and confirmed.object_id.startswith("obj_")
    one = session.call(served.get_upload_buckets, bucket_id, upload.upload_id)
    assert one["status"] == "COMPLETED" and one["object_id"] == confirmed.object_id
    listed = session.call(served.list_uploads_buckets, bucket_id)
    assert listed.stats.total_uploads == 1 and listed.results[0].upload_id == upload.upload_id
    given_up = session.call(served.create_upload_buckets, bucket_id, request)
    session.call(served.delete_upload_buckets, bucket_id, given_up.upload_id, status=204)
    session.call(
        api.BucketObjectsApi(session.client()).delete_object_buckets, bucket_id, confirmed.object_id, status=204
    )
