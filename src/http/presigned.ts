import { z } from "@hono/zod-openapi"
import { ApplianceError } from "../errors.ts"
import type { PresignedUrls } from "../presigned-urls.ts"

/** A missing part is a bad signature, not a bad request. */
export const SignatureQuery = z.object({
  expires: z.string().max(32).optional().openapi({ description: "Unix seconds" }),
  signature: z.string().max(128).optional(),
})

/** @throws ForbiddenError unless the URL was signed by this appliance for this method and path, and is still valid */
export function demandSignature(
  presignedUrls: PresignedUrls,
  method: "GET" | "PUT",
  path: string,
  { expires, signature }: z.output<typeof SignatureQuery>,
): void {
  const verification = presignedUrls.verify(method, path, expires, signature)
  if (verification === "valid") return
  throw new ApplianceError(
    "ForbiddenError",
    verification === "expired"
      ? "This URL has expired; ask for a new one."
      : "This URL is not one that was signed here.",
    { details: { reason: verification } },
  )
}
