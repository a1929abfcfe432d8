import { z } from "@hono/zod-openapi"

const Permission = z.enum(["read", "write", "delete", "admin"])

/**
 * What a key may be confined to. Kinds that this version would not enforce are refused: a scope that restricts nothing is
 * worse than none. `inference` leaves realtime calls only (api.md §10).
 */
const Scope = z.object({
  resource_type: z.enum(["organization", "namespace", "inference"], {
    error: "only organization, namespace and inference scopes are enforced by this version",
  }),
  resource_id: z.string().min(1).max(100),
  operations: z.array(z.string()).max(0, "operations of a scope are not enforced by this version").nullish(),
})

export const CreateApiKey = z
  .object({
    name: z.string().min(1).max(100),
    description: z.string().max(500).nullish(),
    permissions: z.array(Permission).max(4).default(["read"]),
    scopes: z.array(Scope).max(100).nullish(),
    rate_limit_override: z.int().min(1).nullish(),
    expires_at: z.iso.datetime({ offset: true }).nullish(),
  })
  .openapi("APIKeyCreateRequest")
export type CreateApiKey = z.output<typeof CreateApiKey>

export const UpdateApiKey = z
  .object({
    name: z.string().min(1).max(100).nullish(),
    description: z.string().max(500).nullish(),
    permissions: z.array(Permission).max(4).nullish(),
    scopes: z.array(Scope).max(100).nullish(),
    rate_limit_override: z.int().min(1).nullish(),
    expires_at: z.iso.datetime({ offset: true }).nullish(),
  })
  .openapi("APIKeyUpdateRequest")
export type UpdateApiKey = z.output<typeof UpdateApiKey>

export const ApiKeyModel = z
  .object({
    key_id: z.string(),
    key_hash: z.string(),
    key_prefix: z.string(),
    internal_id: z.string(),
    organization_id: z.string(),
    user_id: z.string(),
    name: z.string(),
    description: z.string(),
    permissions: z.array(z.string()),
    scopes: z.array(z.looseObject({})),
    rate_limit_override: z.int().nullable(),
    status: z.enum(["active", "revoked", "expired"]),
    expires_at: z.string().nullable(),
    last_used_at: z.string().nullable(),
    created_at: z.string(),
    created_by: z.string().nullable(),
    revoked_at: z.string().nullable(),
    revoked_by: z.string().nullable(),
  })
  .openapi("APIKeyModel")
export type ApiKeyModel = z.output<typeof ApiKeyModel>

export const CreatedApiKey = ApiKeyModel.extend({
  key: z.string().openapi({ description: "The key itself, shown this once." }),
}).openapi("APIKeyCreateResponse")
export type CreatedApiKey = z.output<typeof CreatedApiKey>

export const ApiKeyList = z.object({ results: z.array(ApiKeyModel), total_count: z.int() }).openapi("APIKeyList")
