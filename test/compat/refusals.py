"""Refusals: the generated client raises the class of the status, with the envelope."""

from __future__ import annotations

import mixpeek.api as api
import mixpeek.models as models
from mixpeek.exceptions import (
    BadRequestException,
    ConflictException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
    UnprocessableEntityException,
)
from sdk_checks import Session


def walk(session: Session, plugin: str) -> None:
    buckets = api.BucketsApi(session.client())
    bucket_id = session.call(buckets.create_bucket, bucket("sdk refusals")).bucket_id
    unknown_key(session)
    missing_permission(session)
    missing_namespace(session)
    not_found(session, plugin, bucket_id)
    not_now(session, bucket_id)
    not_valid(session, plugin, bucket_id)
    inference(session)
    not_offered(session)
    session.call(buckets.delete_bucket, bucket_id)


def unknown_key(session: Session) -> None:
    client = session.client(key="sk_unknown")
    session.refused(UnauthorizedException, "UnauthorizedError", api.BucketsApi(client).list_buckets)
    session.refused(UnauthorizedException, "UnauthorizedError", api.OrganizationsApi(client).get_organization)


def missing_permission(session: Session) -> None:
    keys = api.OrganizationAPIKeysApi(session.client())
    request = models.APIKeyCreateRequest(name="sdk reader", permissions=["read"])
    reader = session.client(key=session.call(keys.create_key_organizations_users_email, "sdk@example.com", request).key)
    session.refused(ForbiddenException, "ForbiddenError", api.BucketsApi(reader).create_bucket, bucket("unwritten"))
    session.refused(
        ForbiddenException, "ForbiddenError",
        api.OrganizationAPIKeysApi(reader).list_keys_organizations_users_email, "sdk@example.com",
    )


def missing_namespace(session: Session) -> None:
    client = session.client(namespace="ns_unknown")
    session.refused(NotFoundException, "NotFoundError", api.BucketsApi(client).list_buckets)


def not_found(session: Session, plugin: str, bucket_id: str) -> None:
    client = session.client()
    collections = api.CollectionsApi(client)
    typed = collection(plugin, bucket_id, {"extractor_type": plugin, "threshold": 0.7})
    collection_id = session.call(collections.create_collection, typed).collection_id
    refused = [
        (api.NamespacesApi(client).get_namespace, "ns_none"),
        (api.BucketsApi(client).get_bucket, "bkt_none"),
        (api.BucketObjectsApi(client).get_object_buckets, bucket_id, "obj_none"),
        (api.BucketUploadsApi(client).get_upload_buckets, bucket_id, "upl_none"),
        (api.BucketBatchesApi(client).get_batch_buckets_batches, bucket_id, "btch_none"),
        (collections.get_collection, "col_none"),
        (api.CollectionDocumentsApi(client).get_document, collection_id, "doc_none"),
        (api.TasksApi(client).get_task, "task_none"),
        (api.NamespaceExtractorsApi(client).get_extractor_namespaces, session.namespace, "none_1_0_0"),
        (collections.create_collection, collection("no_such_extractor", bucket_id, None)),
    ]
    for operation, *arguments in refused:
        error = session.refused(NotFoundException, "NotFoundError", operation, *arguments)
        missing = error.details
        assert missing["resource"] and (missing["id"] == arguments[-1] or "no_such_extractor" in missing["id"]), error
    session.call(collections.delete_collection, collection_id)


def not_now(session: Session, bucket_id: str) -> None:
    buckets = api.BucketsApi(session.client())
    session.refused(ConflictException, "AlreadyExistsError", buckets.create_bucket, bucket("sdk refusals"))
    batches = api.BucketBatchesApi(session.client())
    empty = session.call(batches.create_batch_buckets_batches, bucket_id, models.CreateBatchRequest())
    session.refused(
        BadRequestException, "BadRequestError", batches.submit_batch_buckets_batches, bucket_id, empty.batch_id
    )


def not_valid(session: Session, plugin: str, bucket_id: str) -> None:
    client = session.client()
    buckets = api.BucketsApi(client)
    error = session.refused(UnprocessableEntityException, "ValidationError", buckets.create_bucket, bucket(""))
    problem = error.details["validation_errors"][0]
    assert problem["location"][-1] == "bucket_name" and problem["message"] and problem["type"], problem

    collections = api.CollectionsApi(client)
    out_of_range = collection(plugin, bucket_id, {"extractor_type": plugin, "threshold": 7})
    error = session.refused(
        UnprocessableEntityException, "ValidationError", collections.create_collection, out_of_range
    )
    assert "threshold" in str(error.details), error
    # The generated client turns untyped parameters into those of a builtin: running them would be a lie.
    mangled = collection(plugin, bucket_id, {"threshold": 0.7})
    error = session.refused(UnprocessableEntityException, "ValidationError", collections.create_collection, mangled)
    assert "extractor_type" in error.message, error


def inference(session: Session) -> None:
    client = session.client()
    unknown = models.RawInferenceRequest.from_dict({"inference_name": "x_1_0_0", "inputs": {"text": "t"}})
    session.refused(NotFoundException, "NotFoundError", api.InferenceApi(client).execute_raw_inference, unknown)


def not_offered(session: Session) -> None:
    client = session.client()
    request = models.CreateSecretRequest(secret_name="s", secret_value="v")
    session.refused(
        ServiceException, "NotEnabledError", api.OrganizationSecretsApi(client).create_secret_organizations, request
    )
    session.refused(ServiceException, "NotEnabledError", api.RetrieversApi(client).list_retrievers)
    session.refused(ServiceException, "NotEnabledError", api.ModelsApi(client).list_models)


def bucket(name: str) -> models.BucketCreateRequest:
    schema = models.BucketSchemaInput.from_dict({"properties": {"text": {"type": "text"}}})
    return models.BucketCreateRequest(bucket_name=name, bucket_schema=schema)


def collection(plugin: str, bucket_id: str, parameters: dict[str, object] | None) -> models.CreateCollectionRequest:
    extractor = {"feature_extractor_name": plugin, "version": "1.0.0", "parameters": parameters}
    return models.CreateCollectionRequest.from_dict(
        {
            "collection_name": "sdk refused",
            "source": {"type": "bucket", "bucket_ids": [bucket_id]},
            "feature_extractor": extractor,
        }
    )
