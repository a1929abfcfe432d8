"""Every operation of the generated client (`mixpeek.api.*`) that the appliance serves, on a live text plugin."""

from __future__ import annotations

import mixpeek.api as api
from generated_administration import api_keys, health, organization
from generated_processing import (
    batch_of_an_extractor_that_lacks_a_module,
    batches,
    collections,
    documents,
    extractors,
    tasks,
    trigger,
)
from generated_storage import buckets, namespaces, objects, uploads
from sdk_checks import Session


def walk(session: Session, plugin: str, plugin_that_lacks_a_module: str) -> None:
    namespaces(session)
    extractor = extractors(session, plugin)
    bucket_id = buckets(session)
    object_ids = objects(session, bucket_id)
    uploads(session, bucket_id)
    collection_id = collections(session, plugin, extractor, bucket_id)
    batch_id = batches(session, extractor, bucket_id, collection_id, object_ids)
    documents(session, plugin, collection_id, object_ids)
    tasks(session, bucket_id, batch_id)
    trigger(session, bucket_id, collection_id)
    batch_of_an_extractor_that_lacks_a_module(session, plugin_that_lacks_a_module, bucket_id)
    organization(session)
    api_keys(session)
    health(session)
    removal(session, bucket_id, collection_id, batch_id)


def removal(session: Session, bucket_id: str, collection_id: str, batch_id: str) -> None:
    client = session.client()
    session.call(api.BucketBatchesApi(client).delete_batch_buckets_batches, bucket_id, batch_id)
    session.call(api.CollectionsApi(client).delete_collection, collection_id)
    removed = session.call(api.BucketsApi(client).delete_bucket, bucket_id)
    assert removed["task_id"]
    task = session.call(api.TasksApi(client).get_task, removed["task_id"])
    assert task.task_type == "api_buckets_delete"
