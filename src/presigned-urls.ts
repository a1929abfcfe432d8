import { createHmac, timingSafeEqual } from "node:crypto"

/** What a signed URL lets its holder do, and to what. */
export interface SignedAccess {
  readonly method: "GET" | "PUT"
  /** Below `/v1/presigned/`, made of our own ids only. */
  readonly path: string
  readonly expiresAt: Date
  /** Of a PUT: more bytes are refused. Null bounds it by the server's setting only. */
  readonly size?: number | null
}

export type Verification =
  | { readonly verdict: "valid"; readonly size: number | null }
  | { readonly verdict: "expired" | "forged" }

/** As they stand in the URL. */
export interface SignedQuery {
  readonly expires?: string | undefined
  readonly size?: string | undefined
  readonly signature?: string | undefined
}

/**
 * URLs that are their own credential: HMAC-SHA-256 over method, path, expiry and size with the appliance's secret. They are
 * absolute, from the public URL, never from a request's Host.
 */
export function presignedUrls(secret: Uint8Array, publicUrl: () => string, now: () => Date) {
  // A URL without a size is signed as one of an earlier version was.
  const signature = (method: string, path: string, expires: string, size: string | undefined) =>
    createHmac("sha256", secret)
      .update([method, path, expires, ...(size === undefined ? [] : [size])].join("\n"))
      .digest("hex")
  return {
    sign({ method, path, expiresAt, size }: SignedAccess): string {
      const expires = String(Math.floor(expiresAt.getTime() / 1000))
      const bound = size == null ? undefined : String(size)
      const query = bound === undefined ? "" : `&size=${bound}`
      return `${publicUrl()}/v1/presigned/${path}?expires=${expires}${query}&signature=${signature(method, path, expires, bound)}`
    },
    verify(method: "GET" | "PUT", path: string, { expires, size, signature: given }: SignedQuery): Verification {
      const forged = { verdict: "forged" } as const
      if (expires === undefined || given === undefined || !/^\d{1,12}$/.test(expires)) return forged
      if (size !== undefined && !/^\d{1,15}$/.test(size)) return forged
      const wanted = Buffer.from(signature(method, path, expires, size))
      const got = Buffer.from(given)
      if (wanted.length !== got.length || !timingSafeEqual(wanted, got)) return forged
      if (Number(expires) * 1000 <= now().getTime()) return { verdict: "expired" }
      return { verdict: "valid", size: size === undefined ? null : Number(size) }
    },
  }
}

export type PresignedUrls = ReturnType<typeof presignedUrls>
