"""The high-level client, `Mixpeek(...)`, as the documentation's examples use it."""

from __future__ import annotations

from typing import Any

from mixpeek import Mixpeek
from mixpeek._client.client import MixpeekAPIError
from sdk_checks import Session, raised, said, until


def walk(session: Session, plugin: str) -> None:
    client = Mixpeek(session.key, namespace=session.namespace, base_url=f"{session.url}/v1")
    namespaces(client)
    texts_to_documents(client, plugin)
    refusals(session, client)


def namespaces(client: Mixpeek) -> None:
    created = client.namespaces.create(name="sdk_high_level")
    assert created.namespace_name == "sdk_high_level"
    assert client.namespaces.get(created.namespace_id).namespace_id == created.namespace_id
    assert created.namespace_id in [one.namespace_id for one in client.namespaces.list().results]
    removed = client.namespaces.delete(created.namespace_id)
    assert client.tasks.get(removed.task_id).task_type == "api_namespaces_delete"
    said("Mixpeek.namespaces")


def texts_to_documents(client: Mixpeek, plugin: str) -> None:
    bucket = client.buckets.create(name="high level", bucket_schema={"properties": {"text": {"type": "text"}}})
    assert client.buckets.get(bucket.bucket_id).bucket_name == "high level"
    assert bucket.bucket_id in [one.bucket_id for one in client.buckets.list().results]
    first = client.buckets.upload(bucket.bucket_id, data="a short text", metadata={"language": "en"})
    client.buckets.upload(bucket.bucket_id, data="a text that is long enough to be called long", blob_property="text")
    assert first.metadata.language == "en"
    listed = client.buckets.list_objects(bucket.bucket_id, page_size=1)
    rest = client.buckets.list_objects(bucket.bucket_id, page_size=1, cursor=listed.pagination.next_cursor)
    assert {listed.results[0].object_id, rest.results[0].object_id} >= {first.object_id}
    said("Mixpeek.buckets")

    collection = client.collections.create(
        collection_name="high_level_collection",
        source={"type": "bucket", "bucket_ids": [bucket.bucket_id]},
        feature_extractor={
            "feature_extractor_name": plugin,
            "version": "1.0.0",
            "parameters": {"threshold": 0.7},
            "field_passthrough": [{"source_path": "metadata.language", "target_path": "language"}],
        },
    )
    collection_id = collection.collection_id
    assert collection.feature_extractor.parameters.threshold == 0.7
    assert client.collections.get("high_level_collection").collection_id == collection_id
    assert collection_id in [one.collection_id for one in client.collections.list().results]
    assert client.collections.update(collection_id, description="changed").description == "changed"
    started = client.collections.trigger(collection_id)
    said("Mixpeek.collections")

    batch = until(lambda: ended(client, bucket.bucket_id, started.batch_id))
    assert batch.status == "COMPLETED" and batch.documents_written == 2, batch
    assert client.batches.failed_documents(bucket.bucket_id, started.batch_id, tier_num=0, limit=10).total == 0
    assert client.tasks.get(started.task_id).status == "COMPLETED"
    assert started.task_id in [one.task_id for one in client.tasks.list().results]
    assert client.tasks.list(status="COMPLETED").results
    said("Mixpeek.batches, Mixpeek.tasks")

    page = client.documents.list(collection_id, page_size=1)
    rest = client.documents.list(collection_id, page_size=1, cursor=page.pagination.next_cursor)
    documents = [*page.results, *rest.results]
    assert sorted(one.label for one in documents) == ["long", "short"]
    assert len({one.document_id for one in documents}) == 2
    short = client.documents.list(collection_id, filters={"field": "label", "operator": "eq", "value": "short"})
    assert [one.language for one in short.results] == ["en"]
    one = client.documents.get(collection_id, short.results[0].document_id)
    assert one.root_object_id == first.object_id and one._internal.lineage.root_bucket_id == bucket.bucket_id
    said("Mixpeek.documents")

    client.collections.delete(collection_id)
    client.buckets.delete(bucket.bucket_id)


def ended(client: Mixpeek, bucket_id: str, batch_id: str) -> Any:
    batch = client.batches.get(bucket_id, batch_id)
    return batch if batch.status in ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED") else None


def refusals(session: Session, client: Mixpeek) -> None:
    wrong_key = Mixpeek("sk_unknown", namespace=session.namespace, base_url=f"{session.url}/v1")
    for status, kind, operation, *arguments in [
        (404, "NotFoundError", client.buckets.get, "bkt_none"),
        (404, "NotFoundError", client.collections.trigger, "col_none"),
        (401, "UnauthorizedError", wrong_key.buckets.list),
        (501, "NotEnabledError", client.retrievers.list),
        (501, "NotEnabledError", client.search, "red car"),
    ]:
        error = raised(MixpeekAPIError, operation, *arguments)
        assert error.status == status and error.detail["error"]["type"] == kind, error
        assert error.retryable is False
    error = raised(MixpeekAPIError, lambda: client.buckets.create(name="x", bucket_schema={"properties": {"a": {}}}))
    assert error.status == 422 and error.detail["error"]["details"]["validation_errors"], error
    said("Mixpeek refusals")
