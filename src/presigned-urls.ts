import { createHmac, timingSafeEqual } from "node:crypto"

/** What a signed URL lets its holder do, and to what. */
export interface SignedAccess {
  readonly method: "GET" | "PUT"
  /** Below `/v1/presigned/`, made of our own ids only. */
  readonly path: string
  readonly expiresAt: Date
}

export type Verification = "valid" | "expired" | "forged"

/**
 * URLs that are their own credential: HMAC-SHA-256 over method, path and expiry with the appliance's secret. They are
 * absolute, from the public URL, never from a request's Host.
 */
export function presignedUrls(secret: Uint8Array, publicUrl: () => string, now: () => Date) {
  const signature = (method: string, path: string, expires: string) =>
    createHmac("sha256", secret).update(`${method}\n${path}\n${expires}`).digest("hex")
  return {
    sign({ method, path, expiresAt }: SignedAccess): string {
      const expires = String(Math.floor(expiresAt.getTime() / 1000))
      return `${publicUrl()}/v1/presigned/${path}?expires=${expires}&signature=${signature(method, path, expires)}`
    },
    verify(method: "GET" | "PUT", path: string, expires: string | undefined, given: string | undefined): Verification {
      if (expires === undefined || given === undefined || !/^\d{1,12}$/.test(expires)) return "forged"
      const wanted = Buffer.from(signature(method, path, expires))
      const got = Buffer.from(given)
      if (wanted.length !== got.length || !timingSafeEqual(wanted, got)) return "forged"
      return Number(expires) * 1000 > now().getTime() ? "valid" : "expired"
    },
  }
}

export type PresignedUrls = ReturnType<typeof presignedUrls>
