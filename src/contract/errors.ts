import { z } from "@hono/zod-openapi"

/** The envelope of every 4xx and 5xx (api.md §0.2). */
export const ErrorResponse = z
  .looseObject({
    success: z.literal(false),
    status: z.int(),
    error: z.looseObject({
      message: z.string(),
      type: z.string(),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  })
  .openapi("ErrorResponse")
