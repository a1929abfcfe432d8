import { z } from "@hono/zod-openapi"

const RateLimit = z.int().min(1).openapi({ description: "Requests per minute" })

export const OrganizationModel = z
  .object({
    organization_id: z.string(),
    organization_name: z.string(),
    account_type: z.literal("enterprise"),
    credit_count: z.int(),
    rate_limits: z.object({
      metadata: RateLimit,
      data: RateLimit,
      search: RateLimit,
      upload: RateLimit,
      compute: RateLimit,
    }),
    metadata: z.looseObject({}),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("OrganizationModel")
export type OrganizationModel = z.output<typeof OrganizationModel>
