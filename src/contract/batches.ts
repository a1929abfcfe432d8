import { z } from "@hono/zod-openapi"
import { IsolationFacts } from "../isolation-facts.ts"
import { Filters, FlagQuery, Pagination, PagingQuery } from "./pagination.ts"
import { TaskStatus } from "./tasks.ts"

const Id = z.string().min(1).max(128)
const FreeObject = z.record(z.string(), z.unknown())

/** Ids in one request: what fits the route's body limit; larger batches are made by filter or trigger. */
const MAX_IDS = 500_000

/** Rows, or a share of the rows of the batch with two decimals at most. */
const StopAfter = z.union([
  z.int().min(0).max(1_000_000_000),
  z.string().regex(/^(100(\.0{1,2})?|\d{1,2}(\.\d{1,2})?)%$/, "must be a number of rows or a percentage such as '5%'"),
])
export const FailurePolicy = z
  .union(
    [z.literal("finish"), z.strictObject({ stop_after: StopAfter })],
    "must be 'finish' or {stop_after: n or 'p%'}",
  )
  .openapi("FailurePolicy")
export type FailurePolicy = z.output<typeof FailurePolicy>

/** Also in one line, as the contract writes it: `stop_after: 5`, `stop_after: 5%`. */
const AskedFailurePolicy = z.preprocess((value) => {
  const [, limit] = (typeof value === "string" && /^stop_after: ?([\d.]{1,12}%?)$/.exec(value)) || []
  if (limit === undefined) return value
  return { stop_after: limit.endsWith("%") ? limit : Number(limit) }
}, FailurePolicy)

/** How a batch is carried out. Null takes the default, or what the draft says. */
export const Governing = {
  failure_policy: AskedFailurePolicy.nullish().openapi({
    description: "finish, or {stop_after: n or 'p%'}: with more failed rows the rest is not run",
  }),
  priority: z
    .int()
    .min(-100)
    .max(100)
    .nullish()
    .openapi({ description: "The higher, the earlier, within a namespace" }),
  max_concurrency: z.int().min(1).max(10_000).nullish().openapi({ description: "Partitions at a time" }),
}

export const CreateBatch = z
  .object({
    object_ids: z.array(Id).max(MAX_IDS).nullish(),
    filters: Filters.nullish().openapi({ description: "Which of the bucket's, or of object_ids; {} for all" }),
    collection_ids: z
      .array(Id)
      .min(1)
      .max(100)
      .nullish()
      .openapi({ description: "By default all enabled collections that read the bucket" }),
    limit: z.int().min(1).max(10_000_000).nullish(),
    metadata: FreeObject.nullish(),
    batch_name: z.string().min(1).max(256).nullish(),
    auto_submit: z.boolean().nullish().openapi({ description: "Submit it at once" }),
    trigger_processing: z.boolean().nullish().openapi({ description: "The same as auto_submit" }),
    ...Governing,
  })
  .openapi("CreateBatchRequest")
export type CreateBatch = z.output<typeof CreateBatch>

export const AddObjects = z.object({ object_ids: z.array(Id).min(1).max(MAX_IDS) }).openapi("AddObjectsToBatchRequest")

export const SubmitBatch = z
  .object({
    include_processing_history: z.boolean().nullish(),
    collection_ids: z.array(Id).min(1).max(100).nullish(),
    ...Governing,
  })
  .openapi("SubmitBatchRequest")
export type SubmitBatch = z.output<typeof SubmitBatch>

export const TriggerBatch = CreateBatch.omit({ auto_submit: true, trigger_processing: true })
  .extend({
    // Whoever found none to run does not want all of them.
    object_ids: z.array(Id).min(1, "names no object; leave it out for all of the bucket's").max(MAX_IDS).nullish(),
  })
  .openapi("TriggerBatchRequest")
export type TriggerBatch = z.output<typeof TriggerBatch>

/** Told apart from what nobody knows, which is passed over: that it changed nothing would go unnoticed. */
const Fixed = (instead: string) =>
  z.null(`cannot change: ${instead}`).optional().openapi({ description: "Cannot change; refused" })

export const UpdateBatch = z
  .object({
    metadata: FreeObject.nullish(),
    batch_name: z.string().min(1).max(256).nullish(),
    priority: Governing.priority,
    max_concurrency: Governing.max_concurrency,
    failure_policy: Fixed("is said when the batch is created or submitted"),
    object_ids: Fixed("are added to a draft by POST …/objects"),
    collection_ids: Fixed("are named when the batch is created or submitted"),
  })
  .openapi("PatchBatchRequest")
export type UpdateBatch = z.output<typeof UpdateBatch>

export const ListBatches = z
  .object({
    status: TaskStatus.nullish(),
    offset: z.int().min(0).max(1_000_000).nullish(),
    limit: z.int().min(1).max(1000).nullish(),
  })
  .openapi("ListBatchesRequest")
export type ListBatches = z.output<typeof ListBatches>

const BatchErrorType = z.enum(["dependency", "authentication", "validation", "runtime", "network", "resource"])

const BatchError = z.looseObject({
  error_type: BatchErrorType,
  message: z.string(),
  traceback: z.string().nullable(),
  stage: z.string().nullable(),
  component: z.string().nullable(),
  timestamp: z.string(),
  affected_count: z.int(),
})

const Counts = { rows_in: z.int(), rows_done: z.int(), rows_failed: z.int(), rows_skipped: z.int() }

const ExtractorJob = z.looseObject({
  extractor_type: z.string(),
  collection_ids: z.array(z.string()),
  status: TaskStatus,
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  duration_ms: z.number().nullable(),
  documents_written: z.int(),
  errors: z.array(BatchError),
  error: z.string().nullable(),
  ...Counts,
})

const Tier = z.looseObject({
  tier_num: z.int(),
  task_id: z.string().nullable(),
  status: TaskStatus,
  collection_ids: z.array(z.string()).min(1),
  source_type: z.enum(["bucket", "collection"]),
  source_collection_ids: z.array(z.string()).nullable(),
  parent_task_id: z.string().nullable(),
  extractor_jobs: z.array(ExtractorJob),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  duration_ms: z.number().nullable(),
  documents_written: z.int(),
  errors: z.array(BatchError),
})

export const BatchProgress = z
  .object({
    processed: z.int(),
    total: z.int(),
    percent: z.number(),
    errors: z.int(),
    rows_per_second: z.number().openapi({ description: "Of the last half minute" }),
    eta_seconds: z.int().nullable().openapi({ description: "null when it is not known" }),
    message: z.string().nullable().openapi({ description: "What a processor said last by progress_actor" }),
    reported: z
      .object({ done: z.number().nullable(), total: z.number().nullable() })
      .nullable()
      .openapi({ description: "What processors counted by progress_actor" }),
    steps: z.array(
      z.object({
        collection_id: z.string(),
        step: z.string(),
        rows: z.int(),
        rows_failed: z.int(),
        seconds: z.number(),
      }),
    ),
  })
  .openapi("BatchProgress")

export const BatchModel = z
  .object({
    batch_id: z.string(),
    bucket_id: z.string(),
    namespace_id: z.string(),
    batch_name: z.string().nullable(),
    status: TaskStatus,
    lifecycle_reason: z.string().nullable(),
    failure_policy: FailurePolicy,
    priority: z.int(),
    max_concurrency: z.int().nullable(),
    object_ids: z.array(z.string()),
    object_count: z.int(),
    collection_ids: z.array(z.string()).nullable(),
    error: z.string().nullable(),
    error_summary: z.record(z.string(), z.int()).nullable(),
    type: z.enum(["BUCKET", "COLLECTION"]),
    task_id: z.string().nullable(),
    metadata: FreeObject,
    tier_tasks: z.array(Tier),
    current_tier: z.int().nullable(),
    total_tiers: z.int(),
    dag_tiers: z.array(z.array(z.string())).nullable(),
    max_node_death_resubmits: z.int(),
    max_deploy_resubmits: z.int(),
    /** How often failed rows were run again. */
    retry_count: z.int(),
    documents_written: z.int(),
    progress: BatchProgress,
    failed_object_count: z.int(),
    isolation: z.string().nullable(),
    isolation_facts: IsolationFacts.nullable(),
    created_at: z.string(),
    updated_at: z.string(),
    submitted_at: z.string().nullable(),
    completed_at: z.string().nullable(),
    ...Counts,
  })
  .openapi("BatchModel")
export type BatchModel = z.output<typeof BatchModel>

/** The data of the events `progress` and `end`. */
export const BatchEvent = BatchModel.pick({
  batch_id: true,
  status: true,
  lifecycle_reason: true,
  error: true,
  progress: true,
  documents_written: true,
  rows_in: true,
  rows_done: true,
  rows_failed: true,
  rows_skipped: true,
}).openapi("BatchEvent")
export type BatchEvent = z.output<typeof BatchEvent>

export const BatchLogLine = z
  .object({
    time: z.string(),
    collection_id: z.string(),
    plugin_id: z.string(),
    stream: z.enum(["stdout", "stderr"]),
    message: z.string(),
  })
  .openapi("BatchLogLine")
export type BatchLogLine = z.output<typeof BatchLogLine>

export const BatchLogsQuery = z.object({
  tier_num: z.coerce.number().int().min(0).max(100).optional(),
  collection_id: z.string().max(128).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
export type BatchLogsQuery = z.output<typeof BatchLogsQuery>

export const BatchLogs = z.object({ batch_id: z.string(), logs: z.array(BatchLogLine) }).openapi("BatchLogsResponse")
export type BatchLogs = z.output<typeof BatchLogs>

export const ListBatchesResponse = z
  .object({ results: z.array(BatchModel), total_count: z.int() })
  .openapi("ListBatchesResponse")

export const BatchRemoved = z.object({ success: z.literal(true), message: z.string() }).openapi("BatchRemoved")

export const RetryBatch = z
  .object({
    retry_mode: z.enum(["transient_only", "all"]).nullish(),
    tier_nums: z.array(z.int().min(0).max(100)).max(100).nullish().openapi({ description: "Empty: all" }),
    max_retry_count: z.int().min(1).max(10).nullish(),
  })
  .openapi("RetryBatchRequest")
export type RetryBatch = z.output<typeof RetryBatch>

export const RetriedBatch = z
  .object({
    batch_id: z.string(),
    task_id: z.string().nullable(),
    status: TaskStatus,
    /** Retries of the batch, this one included. */
    retry_count: z.int(),
    retried_rows: z.int(),
    skipped_rows: z.int(),
    /** Failed rows that do not run again, and why. */
    skipped: z.array(
      z.object({
        collection_id: z.string(),
        reason: z.enum([
          "retry_limit",
          "not_transient",
          "tier",
          "plugin_missing",
          "collection_deleted",
          "collection_disabled",
        ]),
        rows: z.int(),
        message: z.string(),
      }),
    ),
    runs: z.array(
      z.object({
        collection_id: z.string(),
        plugin_id: z.string(),
        plugin_version: z.string(),
        code_hash: z.string(),
        code_changed: z.boolean(),
        failed_rows: z.int(),
        unprocessed_rows: z.int(),
      }),
    ),
    message: z.string(),
  })
  .openapi("RetryBatchResponse")
export type RetriedBatch = z.output<typeof RetriedBatch>

export const FailedDocumentsQuery = PagingQuery.pick({ cursor: true, next_cursor: true, after: true }).extend({
  tier_num: z.coerce.number().int().min(0).max(100).optional(),
  collection_id: z.string().max(128).optional(),
  error_type: BatchErrorType.optional(),
  exception: z.string().min(1).max(512).optional(),
  object_id: z.string().min(1).max(128).optional(),
  row: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  /** Each row as the plugin was given it; by default only where `row` names one. */
  include_input: FlagQuery.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
})
export type FailedDocumentsQuery = z.output<typeof FailedDocumentsQuery>

export const FailedDocuments = z
  .object({
    batch_id: z.string(),
    failed_documents: z.array(
      z.looseObject({
        object_id: z.string(),
        collection_id: z.string(),
        row: z.int(),
        error: z.string(),
        error_type: z.string(),
        exception: z.string(),
        traceback: z.string().nullable(),
        stage: z.string().nullable(),
        attempt: z.int(),
        retry_count: z.int(),
        plugin_version: z.string().nullable(),
        code_hash: z.string().nullable(),
        timestamp: z.string(),
        /** Null when the plugin was given no row, or its object has changed since. */
        input_bytes: z.int().nullable(),
        /** Null also when it is larger than what is kept. */
        input: FreeObject.nullable().optional(),
      }),
    ),
    total: z.int(),
    limit: z.int(),
    offset: z.int(),
    /** A page also ends where it holds 8 MiB of text; null at the end, and where a cursor was given. */
    next_offset: z.int().nullable(),
    /** `next_cursor` goes on behind the last row of this page, whatever a retry has taken away before it. */
    pagination: Pagination,
  })
  .openapi("FailedDocumentsResponse")
export type FailedDocuments = z.output<typeof FailedDocuments>
