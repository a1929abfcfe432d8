import { z } from "@hono/zod-openapi"
import { EgressAllowlist } from "../egress.ts"
import { Quotas } from "../quotas.ts"
import { RULE_SET_NAMES } from "../rule-set-names.ts"
import { ListBody, Pagination } from "./pagination.ts"

const ExtractorReference = z.looseObject({
  feature_extractor_name: z.string().min(1).max(64),
  version: z.string().min(1).max(32),
  params: z.record(z.string(), z.unknown()).nullish(),
})

const PayloadIndex = z.object({
  field_name: z.string().min(1).max(256),
  type: z.enum(["keyword", "integer", "float", "bool", "geo", "datetime", "text", "uuid"]),
  field_schema: z.record(z.string(), z.unknown()).nullish(),
  is_protected: z.boolean().default(false),
})

/** The id of a namespace may stand wherever its name may, so a name must not look like one of our ids. */
const NamespaceName = z
  .string()
  .min(3)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]*$/, "letters, digits, space, dot, dash and underscore")

export const CreateNamespace = z
  .object({
    namespace_name: NamespaceName,
    description: z.string().max(2000).nullish(),
    feature_extractors: z.array(ExtractorReference).max(100).nullish(),
    payload_indexes: z.array(PayloadIndex).max(100).nullish(),
    auto_create_indexes: z.boolean().nullish(),
    plugin_rule_set: z.enum(RULE_SET_NAMES).nullish().openapi({
      description: "Rule set of the scan for plugins confirmed from now on; null takes the server's setting",
    }),
  })
  .openapi("CreateNamespaceRequest")
export type CreateNamespace = z.output<typeof CreateNamespace>

export const UpdateNamespace = CreateNamespace.omit({ feature_extractors: true })
  .partial()
  .extend({
    egress_allowlist: EgressAllowlist.nullish().openapi({
      description:
        "Administrators only. Hosts that steps of resource type API may reach: host, host:port, *.domain, address or network, without a port 80 and 443; " +
        "null takes the server's setting",
    }),
    quotas: z
      .object(
        Object.fromEntries(Object.keys(Quotas.shape).map((name) => [name, z.int().min(1).nullish()])) as {
          [name in keyof Quotas]: z.ZodOptional<z.ZodNullable<z.ZodInt>>
        },
      )
      .strict()
      .nullish()
      .openapi({
        description: "Administrators only. Those named change; null, for one or for all, takes the server's setting",
      }),
  })
  .openapi("PatchNamespaceRequest")
export type UpdateNamespace = z.output<typeof UpdateNamespace>

export const NamespaceModel = z
  .object({
    object: z.literal("namespace"),
    namespace_id: z.string(),
    namespace_name: z.string(),
    description: z.string().nullable(),
    feature_extractors: z.array(
      z.looseObject({ feature_extractor_name: z.string(), version: z.string(), feature_extractor_id: z.string() }),
    ),
    payload_indexes: z.array(z.looseObject({})).nullable(),
    auto_create_indexes: z.boolean(),
    plugin_rule_set: z.enum(RULE_SET_NAMES).nullable(),
    usage: z
      .object({ plugins: z.int(), objects: z.int(), bytes: z.int() })
      .openapi({ description: "What counts towards the quotas" }),
    egress_allowlist: z.array(z.string()).openapi({ description: "What is in force" }),
    quotas: Quotas.openapi({ description: "What is in force; null is unlimited" }),
    namespace_ready: z.boolean(),
    mode: z.literal("managed"),
    document_count: z.int(),
    bucket_count: z.int(),
    collection_count: z.int(),
    object_count: z.int(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("NamespaceModel")
export type NamespaceModel = z.output<typeof NamespaceModel>

export const ListNamespaces = ListBody.openapi("ListNamespacesRequest")

export const ListNamespacesResponse = z
  .object({ results: z.array(NamespaceModel), pagination: Pagination, total_count: z.int() })
  .openapi("ListNamespacesResponse")

export const DeletionStarted = z
  .looseObject({ success: z.literal(true), task_id: z.string(), status: z.string(), message: z.string() })
  .openapi("DeletionStarted")
