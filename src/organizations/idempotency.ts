import { createHash } from "node:crypto"
import { ApplianceError } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"

/** A key is remembered for a day, as long as a client may reasonably retry. */
const RETENTION_MS = 24 * 3600 * 1000

/** Whose keys they are: a namespace's; null: the organization's own, whose namespaces are made with them. */
export interface KeyOwner {
  readonly internalId: string
  readonly namespaceId: string | null
}

/** Writes a create route's answer in the transaction that creates, so that both are there or neither. */
export type Remember = (tx: Transaction, answer: object) => void

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  now: () => Date
}

export function idempotency({ metadata, now }: Deps) {
  const inFlight = new Set<string>()
  return {
    /**
     * Runs `create` at most once per owner and key: a namespace never hears of another's keys or answers. A repeat with the
     * same request gets the first answer again.
     * @throws ValidationError when the key came with another request before
     * @throws AlreadyExistsError while the first request with this key is still running
     */
    async once(
      { internalId, namespaceId }: KeyOwner,
      key: string,
      request: { method: string; path: string; body: string },
      status: number,
      create: (remember: Remember) => Promise<object>,
    ): Promise<{ answer: object; replayed: boolean }> {
      if (key.length > 255) throw new ApplianceError("BadRequestError", "Idempotency-Key is over 255 characters.")
      const fingerprint = createHash("sha256")
        .update(`${request.method}\n${request.path}\n${request.body}`)
        .digest("hex")
      // A header has no line break: no key of the organization's own reads like one of a namespace.
      const name = namespaceId === null ? key : `${namespaceId}\n${key}`
      const stored = metadata.read.idempotency.get(internalId, name)
      if (stored !== undefined && new Date(stored.created_at).getTime() > now().getTime() - RETENTION_MS) {
        if (stored.fingerprint !== fingerprint) {
          throw new ApplianceError("ValidationError", "This Idempotency-Key was used for another request.", {
            details: {
              validation_errors: [{ type: "reused", location: ["header", "Idempotency-Key"], message: "reused" }],
            },
          })
        }
        return { answer: parseExactly(new TextDecoder().decode(Bun.gunzipSync(stored.body.slice()))), replayed: true }
      }
      const flight = `${internalId}\n${name}`
      if (inFlight.has(flight)) {
        throw new ApplianceError("AlreadyExistsError", "A request with this Idempotency-Key is still running; retry.", {
          headers: { "Retry-After": "1" },
        })
      }
      inFlight.add(flight)
      try {
        const answer = await create((tx, answer) => {
          tx.write.idempotency.insert({
            internal_id: internalId,
            key: name,
            fingerprint,
            status,
            body: Bun.gzipSync(JSON.stringify(answer)),
            created_at: now().toISOString(),
          })
        })
        return { answer, replayed: false }
      } finally {
        inFlight.delete(flight)
      }
    },

    sweep(): number {
      const before = new Date(now().getTime() - RETENTION_MS).toISOString()
      return metadata.transact((tx) => tx.write.idempotency.sweep(before))
    },
  }
}

export type Idempotency = ReturnType<typeof idempotency>
