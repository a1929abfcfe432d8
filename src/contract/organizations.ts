import { z } from "@hono/zod-openapi"

export const OrganizationModel = z
  .object({
    organization_id: z.string(),
    organization_name: z.string(),
    account_type: z.literal("enterprise"),
    credit_count: z.int(),
    metadata: z.looseObject({}),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("OrganizationModel")
export type OrganizationModel = z.output<typeof OrganizationModel>
