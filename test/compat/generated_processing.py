"""Extractors, collections, batches, tasks and documents through the generated client, on live text plugins."""

from __future__ import annotations

import urllib.request
from typing import Any

import mixpeek.api as api
import mixpeek.models as models
from generated_storage import PIXEL_BYTES, UNREADABLE
from sdk_checks import Session, until

TERMINAL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED")


def extractors(session: Session, plugin: str) -> Any:
    served = api.NamespaceExtractorsApi(session.client())
    listed = session.call(served.list_extractors_namespaces, session.namespace, source="custom")
    [extractor] = [one for one in listed.extractors if one.feature_extractor_name == plugin]
    assert listed.namespace_id == session.namespace and listed.custom_count == listed.total
    assert extractor.source == "custom" and extractor.validation_status == "passed"
    assert extractor.feature_uri.startswith(f"mixpeek://{plugin}@1.0.0")
    assert "threshold" in extractor.parameter_schema["properties"]
    [index] = extractor.required_vector_indexes
    assert index.name == f"{plugin}_embedding"
    everything = session.call(served.list_extractors_namespaces, session.namespace)
    assert everything.total == everything.builtin_count + everything.custom_count
    one = session.call(served.get_extractor_namespaces, session.namespace, extractor.feature_extractor_id)
    assert one.plugin_id == extractor.plugin_id
    for known in session.call(api.FeatureExtractorsApi(session.client()).list_feature_extractors):
        session.call(api.FeatureExtractorsApi(session.client()).get_feature_extractor_by, known.feature_extractor_id)
    return extractor


def collections(session: Session, plugin: str, extractor: Any, bucket_id: str) -> str:
    served = api.CollectionsApi(session.client())
    request = models.CreateCollectionRequest.from_dict(
        {
            "collection_name": "sdk collection",
            "description": "texts",
            "source": {"type": "bucket", "bucket_ids": [bucket_id]},
            "feature_extractor": {
                "feature_extractor_name": plugin,
                "version": "1.0.0",
                "parameters": {"extractor_type": plugin, "threshold": 0.7},
                "input_mappings": {"text": "text"},
                "field_passthrough": [{"source_path": "title"}],
            },
            "metadata": {"team": "sdk"},
        }
    )
    collection = session.call(served.create_collection, request)
    assert collection.collection_id.startswith("col_") and collection.metadata == {"team": "sdk"}
    configured = collection.feature_extractor
    assert configured.feature_extractor_id == extractor.feature_extractor_id
    parameters = configured.parameters.actual_instance
    assert isinstance(parameters, models.CustomPluginParams), type(parameters)
    assert parameters.to_dict()["threshold"] == 0.7
    assert collection.source.type == "bucket" and collection.source.bucket_ids == [bucket_id]
    assert "label" in collection.output_schema.properties and "title" in collection.output_schema.properties
    assert collection.vector_indexes[0].feature_uri == f"mixpeek://{plugin}@1.0.0/{plugin}_embedding"
    assert session.call(served.get_collection, "sdk collection").collection_id == collection.collection_id
    listed = session.call(served.list_collections, list_collections_request=models.ListCollectionsRequest())
    assert listed.total_count == 1
    assert session.call(served.list_collections_get, limit=10).results[0].collection_id == collection.collection_id
    [feature] = session.call(served.describe_collection_features, collection.collection_id).features
    assert feature.feature_uri == collection.vector_indexes[0].feature_uri and feature.vector_index.dimensions == 4
    patched = session.call(served.update_collection, collection.collection_id, {"description": "patched"})
    assert patched.description == "patched"
    return collection.collection_id


def batches(session: Session, extractor: Any, bucket_id: str, collection_id: str, object_ids: list[str]) -> str:
    served = api.BucketBatchesApi(session.client())
    metadata = models.BatchMetadata.from_dict({"campaign_id": "c1", "tags": ["t"], "own": 1})
    request = models.CreateBatchRequest(
        object_ids=object_ids[:1], collection_ids=[collection_id], batch_name="sdk batch", metadata=metadata
    )
    batch = session.call(served.create_batch_buckets_batches, bucket_id, request)
    assert batch.status == "DRAFT" and batch.object_ids == object_ids[:1] and batch.batch_name == "sdk batch"
    assert batch.metadata.to_dict()["own"] == 1
    more = models.AddObjectsToBatchRequest(object_ids=object_ids[1:])
    grown = session.call(served.add_objects_to_batch_buckets_batches, bucket_id, batch.batch_id, more)
    assert sorted(grown.object_ids) == sorted(object_ids)
    patch = models.PatchBatchRequest.from_dict({"metadata": {"notes": "n"}})
    assert session.call(served.patch_batch_buckets_batches, bucket_id, batch.batch_id, patch).metadata.notes == "n"
    task = session.call(served.submit_batch_buckets_batches, bucket_id, batch.batch_id)
    again = session.call(
        served.submit_batch_buckets_batches, bucket_id, batch.batch_id, submit_batch_request=models.SubmitBatchRequest()
    )
    assert task.task_type == "api_buckets_batches_process" and again.task_id == task.task_id
    ended = ended_batch(session, bucket_id, batch.batch_id)
    assert ended.status == "COMPLETED_WITH_ERRORS", ended.to_dict()
    assert ended.documents_written == 4 and ended.failed_object_count == 1 and ended.progress.percent == 100
    [job] = ended.tier_tasks[0].extractor_jobs
    assert job.status == ended.status and job.extractor_type == extractor.feature_extractor_id
    assert job.documents_written == 4

    failed = session.call(
        served.get_failed_documents_buckets_batches_batch, bucket_id, batch.batch_id, tier_num=0, limit=10
    )
    [row] = failed["failed_documents"]
    assert failed["total"] == 1 and row["object_id"] == object_ids[-1] and UNREADABLE in row["error"], row
    listed = session.call(
        served.list_batches_buckets, bucket_id, list_batches_request=models.ListBatchesRequest(status=ended.status)
    )
    assert [one.batch_id for one in listed.results] == [batch.batch_id]

    one_object = models.CreateBatchRequest(object_ids=object_ids[:1])
    submitted = session.call(served.create_batch_buckets_batches, bucket_id, one_object, auto_submit=True)
    assert submitted.status != "DRAFT"
    assert ended_batch(session, bucket_id, submitted.batch_id).status == "COMPLETED"
    # These send no X-Namespace.
    everywhere = api.BatchesApi(session.client())
    assert session.call(everywhere.get_batch_by_id_batches, batch.batch_id).batch_id == batch.batch_id
    assert batch.batch_id in [one.batch_id for one in session.call(everywhere.list_all_batches).results]
    dropped = session.call(served.create_batch_buckets_batches, bucket_id, one_object)
    canceled = session.call(served.cancel_batch_buckets_batches, bucket_id, dropped.batch_id, reason="not needed")
    assert canceled.status == "CANCELED"
    assert ended_batch(session, bucket_id, dropped.batch_id).status == "CANCELED"
    return batch.batch_id


def ended_batch(session: Session, bucket_id: str, batch_id: str) -> Any:
    served = api.BucketBatchesApi(session.client())

    def check() -> Any:
        batch = session.call(served.get_batch_buckets_batches, bucket_id, batch_id)
        return batch if batch.status in TERMINAL else None

    return until(check)


def documents(session: Session, plugin: str, collection_id: str, object_ids: list[str]) -> None:
    served = api.CollectionDocumentsApi(session.client())
    listed = session.call(served.list_documents, collection_id, include_total=True)
    assert len(listed.results) == 4 and listed.pagination.total == 4
    assert {one.internal.lineage.root_object_id for one in listed.results} == set(object_ids[:-1])
    assert {one.additional_properties["label"] for one in listed.results} == {"long", "short"}
    vector = f"{plugin}_embedding"
    assert all(vector not in one.additional_properties for one in listed.results)

    long = models.ListDocumentsRequest.from_dict(
        {"filters": {"AND": [{"field": "label", "operator": "eq", "value": "long"}]}, "return_vectors": True}
    )
    [document] = session.call(served.list_documents, collection_id, list_documents_request=long).results
    assert len(document.additional_properties[vector]) == 4
    page = session.call(
        served.list_documents, collection_id, list_documents_request=models.ListDocumentsRequest(limit=3)
    )
    rest = session.call(
        served.list_documents, collection_id,
        list_documents_request=models.ListDocumentsRequest(limit=3, cursor=page.pagination.next_cursor),
    )
    assert len({one.document_id for one in [*page.results, *rest.results]}) == 4
    # The request model carries `limit: 10, offset: 0` whatever the caller wanted: the query is what was asked for.
    defaults = models.ListDocumentsRequest()
    asked = session.call(served.list_documents, collection_id, limit=3, offset=3, list_documents_request=defaults)
    assert [one.document_id for one in asked.results] == [one.document_id for one in rest.results]
    by_get = session.call(
        served.list_documents_0, collection_id,
        filters='{"field": "label", "operator": "eq", "value": "short"}', sort="document_id:desc", limit=2,
    )
    ids = [one.document_id for one in by_get.results]
    assert len(ids) == 2 and ids == sorted(ids, reverse=True)
    assert {one.additional_properties["label"] for one in by_get.results} == {"short"}
    groups = session.call(
        served.list_documents, collection_id, list_documents_request=models.ListDocumentsRequest(group_by="label")
    )
    assert groups.group_by_field == "label" and {one.group_key: one.count for one in groups.groups} == {
        "long": 1, "short": 3,
    }

    one = session.call(served.get_document, collection_id, document.document_id, return_vectors=True)
    assert one.document_id == document.document_id and one.additional_properties["label"] == "long"
    assert one.additional_properties[vector] == document.additional_properties[vector]
    assert one.internal.collection_id == collection_id and one.internal.namespace_id == session.namespace

    traced = session.call(api.DocumentLineageApi(session.client()).get_document_lineage, collection_id, document.document_id)
    assert traced.depth == traced.total_steps == 1 and traced.lineage.root_object_id in object_ids
    assert [step.document_id for step in traced.lineage.lineage_chain] == [document.document_id]

    of_photo = models.ListDocumentsRequest.from_dict(
        {"filters": {"AND": [{"field": "root_object_id", "operator": "eq", "value": object_ids[1]}]}}
    )
    [document] = session.call(
        served.list_documents, collection_id, list_documents_request=of_photo, return_presigned_urls=True
    ).results
    [photo] = [blob for blob in document.document_blobs if blob.type == "image"]
    assert urllib.request.urlopen(photo.presigned_url, timeout=10).read() == PIXEL_BYTES


def tasks(session: Session, bucket_id: str, batch_id: str) -> None:
    served = api.TasksApi(session.client())
    listed = session.call(
        served.list_tasks, list_tasks_request=models.ListTasksRequest(task_type="api_buckets_batches_process")
    )
    [task] = [one for one in listed.results if one.additional_data["batch_id"] == batch_id]
    assert task.status == "COMPLETED_WITH_ERRORS" and task.additional_data["bucket_id"] == bucket_id
    assert session.call(served.get_task, task.task_id).status == task.status
    assert session.call(served.kill_task, task.task_id).success is True


def trigger(session: Session, bucket_id: str, collection_id: str) -> None:
    served = api.CollectionsApi(session.client())
    started = session.call(served.trigger_collection, collection_id, status=202)
    assert started.collection_id == collection_id and started.total_tiers == 1
    assert started.source_bucket_ids == [bucket_id]
    # The batch before did all there is; what failed in it is not tried again by itself.
    assert ended_batch(session, bucket_id, started.batch_id).status == "COMPLETED"
    everything = models.TriggerCollectionRequest(dedup_strategy=models.DedupStrategy.REPLACE)
    again = session.call(
        served.trigger_collection, collection_id, status=202, trigger_collection_request=everything
    )
    assert ended_batch(session, bucket_id, again.batch_id).documents_written == 4
    retry = models.RetryBatchRequest(tier_nums=[])
    batches_api = api.BucketBatchesApi(session.client())
    retried = session.call(batches_api.retry_batch_buckets_batches, bucket_id, again.batch_id, retry)
    assert retried["skipped"][0]["reason"] == "not_transient"
    documents_api = api.CollectionDocumentsApi(session.client())
    assert len(session.call(documents_api.list_documents, collection_id).results) == 4


def batch_of_an_extractor_that_lacks_a_module(session: Session, plugin: str, bucket_id: str) -> None:
    client = session.client()
    request = models.CreateCollectionRequest.from_dict(
        {
            "collection_name": "sdk failing",
            "source": {"type": "bucket", "bucket_ids": [bucket_id]},
            "feature_extractor": {"feature_extractor_name": plugin, "version": "1.0.0"},
        }
    )
    collection_id = session.call(api.CollectionsApi(client).create_collection, request).collection_id
    started = session.call(api.CollectionsApi(client).trigger_collection, collection_id, status=202)
    ended = ended_batch(session, bucket_id, started.batch_id)
    assert ended.status == "FAILED" and ended.documents_written == 0
    [error] = ended.tier_tasks[0].errors
    assert error.error_type == "dependency" and "sentence_transformers" in error.message, error
    task = session.call(api.TasksApi(client).get_task, started.task_id)
    assert task.status == "FAILED" and "sentence_transformers" in task.error
    session.call(api.CollectionsApi(client).delete_collection, collection_id)
