import { z } from "@hono/zod-openapi"

const FreeObject = z.record(z.string(), z.unknown())

/** api.md §1.1; the version is normalised by the domain, so that `v1` and `1.0` are taken. */
export const PluginName = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_]{2,63}$/, "3 to 64 letters, digits and underscores, a letter first")

export const ReservePluginUpload = z
  .object({
    name: PluginName,
    version: z.string().min(1).max(32),
    description: z.string().max(500).nullish(),
    file_size_bytes: z.int().positive().nullish(),
    presigned_url_expiration: z
      .int()
      .min(60)
      .max(86_400)
      .nullish()
      .openapi({ description: "Seconds; 3600 when left out" }),
  })
  .openapi("CreatePluginUploadRequest")
export type ReservePluginUpload = z.output<typeof ReservePluginUpload>

export const PluginUpload = z
  .object({
    upload_id: z.string(),
    presigned_url: z.string(),
    expires_at: z.string(),
    s3_key: z.string(),
    namespace_id: z.string(),
    name: z.string(),
    version: z.string(),
  })
  .openapi("PluginPresignedURLResponse")
export type PluginUpload = z.output<typeof PluginUpload>

export const ConfirmPluginUpload = z
  .object({ etag: z.string().max(128).nullish(), file_size_bytes: z.int().nonnegative().nullish() })
  .openapi("ConfirmPluginUploadRequest")
export type ConfirmPluginUpload = z.output<typeof ConfirmPluginUpload>

/** Fields of the multipart upload beside its `file`. */
export const PluginForm = z.object({
  name: PluginName,
  version: z.string().min(1).max(32),
  description: z.string().max(500).optional(),
})
export type PluginForm = z.output<typeof PluginForm>

/** What an author should know though the plugin passed; without a place when it concerns no line. */
export const PluginWarning = z
  .object({
    file: z.string(),
    line: z.int().nullable(),
    column: z.int().nullable(),
    message: z.string(),
    severity: z.literal("warning"),
  })
  .openapi("PluginWarning")
export type PluginWarning = z.output<typeof PluginWarning>

export const PluginNote = z
  .object({ file: z.string(), line: z.int(), column: z.int(), message: z.string() })
  .openapi("PluginNote", { description: "Worth knowing and no violation: an import that the environment lacks." })
export type PluginNote = z.output<typeof PluginNote>

const ValidationStatus = z.enum(["pending", "passed", "failed"])

export const PluginConfirmation = z
  .object({
    success: z.literal(true),
    upload_id: z.string(),
    plugin_id: z.string(),
    validation_status: ValidationStatus,
    validation_errors: z.array(z.string()),
    deployment_status: z.enum(["deployed", "pending", "failed", "not_deployed"]),
    feature_uri: z.string(),
    s3_archive_url: z.string(),
    code_hash: z.string(),
    warnings: z.array(PluginWarning),
    notes: z.array(PluginNote).optional(),
    message: z.string(),
  })
  .openapi("ConfirmPluginUploadResponse")
export type PluginConfirmation = z.output<typeof PluginConfirmation>

export const PluginListItem = z
  .object({
    plugin_id: z.string(),
    name: z.string(),
    version: z.string(),
    description: z.string().nullable(),
    deployed: z.boolean(),
    validation_status: ValidationStatus,
    feature_uri: z.string(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("PluginListItem")
export type PluginListItem = z.output<typeof PluginListItem>

export const ListPluginsResponse = z
  .object({ success: z.literal(true), plugins: z.array(PluginListItem), total: z.int(), namespace_id: z.string() })
  .openapi("PluginListResponse")
export type ListPluginsResponse = z.output<typeof ListPluginsResponse>

const ManifestMetadata = z
  .looseObject({
    feature_extractor_name: z.string(),
    version: z.string(),
    description: z.string().nullable(),
    input_schema: FreeObject.nullable(),
    output_schema: FreeObject.nullable(),
    parameter_schema: FreeObject.nullable(),
    required_vector_indexes: z.array(FreeObject).nullable(),
    features: z.array(z.looseObject({})),
    dependencies: z.array(z.string()),
    feature_uri: z.string().nullable(),
  })
  .openapi("PluginManifestMetadata")

export const PluginEnvironment = z
  .object({
    hash: z.string().openapi({ description: "Names what a worker of the plugin has on its path" }),
    base: z.string().openapi({ description: "Hash of the base environment beneath it" }),
    python: z.string(),
    abi: z.string(),
    platform: z.string(),
    requires_python: z.string().nullable(),
    requirements: z.array(z.string()).openapi({ description: "As the manifest and requirements.txt state them" }),
    packages: z
      .array(z.object({ name: z.string(), version: z.string(), file: z.string(), sha256: z.string() }))
      .openapi({ description: "The lock: what it has beyond the base environment, or instead of it" }),
  })
  .openapi("PluginEnvironment", {
    description:
      "Resolved once, when the plugin was confirmed. Null: the base environment of the appliance's own Python",
  })
export type PluginEnvironment = z.output<typeof PluginEnvironment>

export const PluginDocument = z
  .object({
    plugin_id: z.string(),
    namespace_id: z.string(),
    organization_id: z.string(),
    name: z.string(),
    version: z.string(),
    description: z.string().nullable(),
    s3_archive_url: z.string(),
    archive_size_bytes: z.int(),
    code_hash: z.string(),
    feature_uri: z.string(),
    validation_status: ValidationStatus,
    validation_errors: z.array(z.string()),
    security_scan_passed: z.boolean(),
    security_scan_rules: z.string().openapi({ description: "Version of the rule set that passed this code" }),
    warnings: z.array(PluginWarning),
    has_realtime: z.boolean(),
    deployed: z.boolean(),
    deployment_info: z.looseObject({ feature_uri: z.string() }).nullable(),
    manifest: ManifestMetadata,
    environment: PluginEnvironment.nullable(),
    created_at: z.string(),
    updated_at: z.string(),
    deployed_at: z.string().nullable(),
    resolved_inference_name: z.string().nullable(),
  })
  .openapi("PluginDocument")
export type PluginDocument = z.output<typeof PluginDocument>

export const PluginDetail = z
  .object({ success: z.literal(true), plugin: PluginDocument, presigned_download_url: z.string().nullable() })
  .openapi("PluginDetailResponse")
export type PluginDetail = z.output<typeof PluginDetail>

export const PluginDeployment = z
  .object({
    success: z.literal(true),
    plugin_id: z.string(),
    namespace_id: z.string(),
    status: z.enum(["queued", "deployed"]),
    deployment_type: z.enum(["batch_only", "realtime"]),
    message: z.string(),
    feature_uri: z.string(),
    realtime_available: z.boolean(),
    route_prefix: z.string().optional(),
    deployment_name: z.string().optional(),
    queue_position: z.int().optional(),
    estimated_completion_seconds: z.int().optional(),
    status_endpoint: z.string().optional(),
  })
  .openapi("PluginDeploymentResponse")
export type PluginDeployment = z.output<typeof PluginDeployment>

const Percentiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() })
export type Percentiles = z.output<typeof Percentiles>
export const DeploymentCondition = z.enum(["answering", "resting", "untried", "failing"])
export type DeploymentCondition = z.output<typeof DeploymentCondition>

export const DeploymentStrategy = z.enum(["rolling", "replace", "shadow"]).openapi({
  description:
    "rolling: the new revision starts beside the old one, and takes over when it has answered; replace: requests wait while the old " +
    "one ends and the new one starts, for models that do not fit twice; shadow: the new one gets copies of live requests, and takes " +
    "over with the next deploy",
})
export type DeploymentStrategy = z.output<typeof DeploymentStrategy>

const ShadowSide = z.object({
  revision_id: z.string(),
  latency_ms: Percentiles.nullable(),
  memory_bytes: z.int(),
})
export const ShadowReport = z
  .object({
    since: z.string(),
    requests: z.int().openapi({ description: "Answered by the live revision since" }),
    compared: z.int(),
    skipped: z.int().openapi({ description: "Not copied: the shadow had enough under way" }),
    failed: z.int().openapi({ description: "Copies that the shadow did not answer" }),
    last_failure: z.string().nullable(),
    fields: z.array(
      z.object({
        name: z.string(),
        compared: z.int(),
        only_before: z.int(),
        only_after: z.int(),
        changed: z.int(),
        examples: z.array(z.object({ before: z.string(), after: z.string() })),
        cosine_distance: z.object({ mean: z.number(), max: z.number() }).nullable(),
      }),
    ),
    before: ShadowSide,
    after: ShadowSide,
  })
  .openapi("ShadowReport")
export type ShadowReport = z.output<typeof ShadowReport>

export const PluginStatus = z
  .object({
    plugin_id: z.string(),
    namespace_id: z.string(),
    status: z.enum(["QUEUED", "PENDING", "IN_PROGRESS", "DEPLOYED", "FAILED", "NOT_DEPLOYED"]),
    name: z.string(),
    version: z.string(),
    realtime_enabled: z.boolean(),
    deployed: z.boolean(),
    message: z.string(),
    feature_uri: z.string(),
    route_prefix: z.string().nullable(),
    queued_at: z.string().nullable(),
    estimated_completion_seconds: z.int().nullable(),
    deployed_at: z.string().nullable(),
    error: z.string().nullable(),
    health: z
      .object({
        replicas: z.int(),
        in_flight: z.int(),
        requests: z.int(),
        errors: z.int(),
        restarts: z.int(),
        memory_bytes: z.int(),
        condition: DeploymentCondition.openapi({
          description:
            "answering: its last request was answered; failing: a worker died, hung or did not start, and no other has come up since; " +
            "resting: it keeps no worker until somebody asks; untried: nobody asked since it came up",
        }),
        queue_delay_ms: Percentiles.nullable().openapi({ description: "From arrival until a worker has the request" }),
        latency_ms: Percentiles.nullable().openapi({
          description: "From arrival to the answer, of the last 1,024 requests",
        }),
        last_answer_at: z.string().nullable(),
      })
      .nullable()
      .openapi({ description: "Of the revision that answers, since it does; null when nothing does" }),
    shadow: ShadowReport.nullable().openapi({ description: "While a revision gets copies of live requests" }),
  })
  .openapi("PluginStatusResponse")
export type PluginStatus = z.output<typeof PluginStatus>

export const PluginLogLine = z
  .object({
    time: z.string(),
    revision_id: z.string(),
    request_id: z.string().nullable().openapi({ description: "X-Request-Id of the request that it was executing" }),
    stream: z.enum(["stdout", "stderr", "error"]).openapi({ description: "error: what a request failed with" }),
    message: z.string(),
  })
  .openapi("PluginLogLine")
export type PluginLogLine = z.output<typeof PluginLogLine>

export const PluginLogsQuery = z.object({
  request_id: z.string().min(1).max(64).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100).openapi({ type: "integer" }),
})

export const PluginRevision = z
  .object({
    revision_id: z.string(),
    state: z.enum(["QUEUED", "PENDING", "IN_PROGRESS", "LIVE", "DRAINING", "RETIRED", "FAILED", "CANCELED"]),
    reason: z.string(),
    created_by: z.string(),
    code_hash: z.string(),
    environment_hash: z.string().nullable(),
    error: z.string().nullable(),
    isolation: z.string().nullable(),
    created_at: z.string(),
    live_at: z.string().nullable(),
    ended_at: z.string().nullable(),
  })
  .openapi("PluginRevision")
export type PluginRevision = z.output<typeof PluginRevision>

export const PluginUndeployed = z
  .object({
    success: z.literal(true),
    plugin_id: z.string(),
    namespace_id: z.string(),
    status: z.literal("NOT_DEPLOYED"),
    deployed: z.literal(false),
    message: z.string(),
  })
  .openapi("PluginUndeployResponse")
export type PluginUndeployed = z.output<typeof PluginUndeployed>

export const PluginRemoved = z
  .object({ success: z.literal(true), plugin_id: z.string(), message: z.string(), deployment_removed: z.boolean() })
  .openapi("PluginDeleteResponse")
export type PluginRemoved = z.output<typeof PluginRemoved>
