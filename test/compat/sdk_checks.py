"""What every chapter of the session shares: calls whose answers are read strictly, and refusals that must be raised."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, TypeVar

from mixpeek.api_client import ApiClient
from mixpeek.configuration import Configuration
from mixpeek.exceptions import ApiException
from mixpeek.models import ErrorDetail, ErrorResponse
from pydantic import BaseModel

Raised = TypeVar("Raised", bound=Exception)

#: Fields that stand in every answer of this model, by the name the SDK's class gives them.
NEVER_NULL: dict[str, tuple[str, ...]] = {
    "NamespaceModel": ("namespace_id", "namespace_name", "created_at", "updated_at", "mode"),
    "BaseFeatureExtractorModelOutput": ("feature_extractor_name", "version", "feature_extractor_id"),
    "ListNamespacesResponse": ("results", "pagination", "total_count"),
    "ListBucketsResponse": ("results", "pagination", "total_count"),
    "ListCollectionsResponse": ("results", "pagination", "total_count"),
    "ListObjectsResponse": ("results", "pagination"),
    "ListTasksResponse": ("results", "pagination"),
    "ListDocumentsResponse": ("pagination",),
    "ListBatchesResponse": ("results", "total_count"),
    "ListUploadsResponse": ("results", "pagination", "stats"),
    "BucketResponse": (
        "bucket_id", "bucket_name", "bucket_schema", "object_count", "total_size_bytes", "status", "created_at",
    ),
    "BucketSchemaFieldOutput": ("type",),
    "ObjectResponse": ("object_id", "bucket_id", "blobs", "status", "created_at", "updated_at"),
    "BlobModel": ("blob_id", "var_property", "type", "details"),
    "CreateObjectsBatchResponse": ("succeeded", "failed", "total_requested", "succeeded_count", "failed_count"),
    "UploadResponse": (
        "upload_id", "bucket_id", "filename", "content_type", "presigned_url_expiration", "s3_key", "status",
        "create_object_on_confirm", "created_at", "expires_at",
    ),
    "ConfirmUploadResponse": ("upload_id", "status"),
    "CollectionResponse": (
        "collection_id", "collection_name", "feature_extractor", "source", "input_schema", "output_schema",
        "vector_indexes", "enabled", "document_count", "created_at", "updated_at",
    ),
    "CollectionVectorIndex": ("name", "feature_uri", "type", "index"),
    "CollectionFeatureDescriptor": (
        "feature_address", "feature_uri", "feature_extractor_name", "version", "vector_index",
    ),
    "TriggerCollectionResponse": ("batch_id", "task_id", "collection_id", "total_tiers", "message"),
    "DocumentResponse": ("document_id", "collection_id", "internal"),
    "BlobURLRef": ("var_field", "url"),
    "BatchModel": (
        "batch_id", "bucket_id", "namespace_id", "status", "object_ids", "metadata", "tier_tasks", "total_tiers",
        "max_node_death_resubmits", "max_deploy_resubmits", "created_at", "updated_at",
    ),
    "TierTaskInfo": ("tier_num", "source_type", "status", "collection_ids", "extractor_jobs"),
    "ExtractorJobInfo": ("extractor_type", "status"),
    "BatchErrorDetail": ("error_type", "message"),
    "TaskResponse": ("task_id", "task_type", "status", "additional_data"),
    "UnifiedExtractorResponse": (
        "feature_extractor_name", "version", "feature_extractor_id", "source", "description", "input_schema",
        "output_schema",
    ),
    "UnifiedExtractorListResponse": ("extractors", "total", "namespace_id", "builtin_count", "custom_count"),
    "APIKeyCreateResponse": ("key_id", "key_hash", "internal_id", "user_id", "name", "key", "permissions", "status"),
    "APIKeyModel": ("key_id", "key_hash", "internal_id", "user_id", "name", "permissions", "status"),
    "HealthCheckResponse": ("status", "data"),
    "HealthServiceStatus": ("cache", "metadata", "vector_store", "object_storage", "task_queue", "inference"),
    "GenericDeleteResponse": ("success", "message"),
    "GenericSuccessResponse": ("success", "message"),
    "ErrorResponse": ("success", "status", "error"),
    "ErrorDetail": ("message", "type"),
}


#: For these the generated operations declare a body; any other refusal keeps its class and its `.body`, but no `.data`.
STATUSES_WITH_DATA = (400, 401, 403, 404, 422, 429, 500, 503)


@dataclass
class Session:
    url: str
    key: str
    namespace: str
    #: Models met so far, by class name: what a chapter expected to see and did not is a hole in the session.
    met: set[str] = field(default_factory=set)

    def client(self, key: str | None = None, namespace: str | None = None) -> ApiClient:
        """The generated client as its own documentation builds it: the host without `/v1`."""
        configuration = Configuration(
            host=self.url,
            access_token=self.key if key is None else key,
            api_key={"NamespaceHeader": self.namespace if namespace is None else namespace},
        )
        return ApiClient(configuration)

    def call(self, operation: Callable[..., Any], *arguments: Any, status: int = 200, **options: Any) -> Any:
        """Calls one generated operation; the answer must have that status, parse, be whole and keep its values."""
        detailed = getattr(operation.__self__, f"{operation.__name__}_with_http_info")
        answer = detailed(*arguments, **options)
        assert answer.status_code == status, f"{operation.__name__} answered {answer.status_code}"
        if status == 204:
            assert answer.raw_data == b"", f"{operation.__name__} sent a body with 204"
        else:
            assert answer.data is not None, f"{operation.__name__} gave the caller None: {answer.raw_data[:300]!r}"
            self.check_whole(answer.data)
            lost = list(lost_values(json.loads(answer.raw_data), plain(answer.data), ""))
            assert lost == [], f"{operation.__name__} lost values on the way into the model: {lost}"
        said(type(operation.__self__).__name__, operation.__name__)
        return answer.data

    def refused(
        self, expected: type[ApiException], type_name: str, operation: Callable[..., Any], *arguments: Any
    ) -> ErrorDetail:
        """Calls one generated operation that must raise exactly this class; answers the `error` of the envelope."""
        refusal = raised(expected, operation, *arguments)
        assert type(refusal) is expected, f"{operation.__name__} raised {type(refusal).__name__}"
        if refusal.status in STATUSES_WITH_DATA:
            assert refusal.data is not None, f"{operation.__name__} raised without .data: {refusal.body}"
        envelope = refusal.data if refusal.data is not None else ErrorResponse.from_json(refusal.body)
        self.check_whole(envelope)
        assert envelope.success is False and envelope.status == refusal.status, refusal.body
        assert envelope.error.type == type_name and envelope.error.message, refusal.body
        said(type(operation.__self__).__name__, operation.__name__, f"raises {expected.__name__}")
        return envelope.error

    def check_whole(self, value: Any, path: str = "") -> None:
        """Walks an answer and demands every field of NEVER_NULL."""
        if isinstance(value, BaseModel):
            name = type(value).__name__
            self.met.add(name)
            for attribute in NEVER_NULL.get(name, ()):
                assert getattr(value, attribute) is not None, f"{path}{name}.{attribute} is null"
            for attribute in type(value).model_fields:
                self.check_whole(getattr(value, attribute), f"{path}{name}.{attribute} > ")
        elif isinstance(value, (list, tuple)):
            for item in value:
                self.check_whole(item, path)
        elif isinstance(value, dict):
            for item in value.values():
                self.check_whole(item, path)


def raised(expected: type[Raised], operation: Callable[..., Any], *arguments: Any) -> Raised:
    try:
        answer = operation(*arguments)
    except expected as error:
        return error
    raise AssertionError(f"{operation.__name__} was not refused: {answer}")


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.to_dict()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def lost_values(sent: Any, read: Any, path: str) -> Iterator[str]:
    """Where a value that the appliance sent and the model knows differs from what the model says."""
    if isinstance(sent, dict) and isinstance(read, dict):
        for key, value in sent.items():
            if key in read:
                yield from lost_values(value, read[key], f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(read, list):
        if len(sent) != len(read):
            yield f"{path}: {len(sent)} items became {len(read)}"
        for index, (one, other) in enumerate(zip(sent, read)):
            yield from lost_values(one, other, f"{path}[{index}]")
    elif isinstance(sent, (str, int, float, bool)) and isinstance(read, (str, int, float, bool)) and sent != read:
        yield f"{path}: {sent!r} became {read!r}"


def until(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def said(*words: str) -> None:
    print("ok", *words, flush=True)
