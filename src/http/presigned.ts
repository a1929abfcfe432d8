import { z } from "@hono/zod-openapi"
import { ApplianceError } from "../errors.ts"
import type { PresignedUrls } from "../presigned-urls.ts"

/** A missing part is a bad signature, not a bad request. */
export const SignatureQuery = z.object({
  expires: z.string().max(32).optional().openapi({ description: "Unix seconds" }),
  size: z.string().max(32).optional().openapi({ description: "Most bytes that are taken" }),
  signature: z.string().max(128).optional(),
})

/** Answers how many bytes may come, null for as many as the server takes. @throws ForbiddenError unless the URL was signed by this appliance for this method and path, and is still valid */
export function demandSignature(
  presignedUrls: PresignedUrls,
  method: "GET" | "PUT",
  path: string,
  query: z.output<typeof SignatureQuery>,
): number | null {
  const verification = presignedUrls.verify(method, path, query)
  if (verification.verdict === "valid") return verification.size
  throw new ApplianceError(
    "ForbiddenError",
    verification.verdict === "expired"
      ? "This URL has expired; ask for a new one."
      : "This URL is not one that was signed here.",
    { details: { reason: verification.verdict } },
  )
}
