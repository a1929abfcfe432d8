import { ApplianceError } from "../errors.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Quotas } from "../quotas.ts"

/** What a write adds to a namespace. */
export interface Growth {
  readonly plugins?: number
  readonly objects?: number
  readonly bytes?: number
}

/** `defaults` are the server's; an administrator may set a namespace's own beside them. */
export function quotas(defaults: Quotas) {
  const effective = (own: string | null): Quotas => (own === null ? defaults : { ...defaults, ...JSON.parse(own) })
  return {
    /** Limits of a namespace whose own are `own`. */
    effective,

    /**
     * Asked inside the transaction that writes: two requests cannot both take the last place.
     * @throws QuotaExceededError, with nothing written
     */
    demandRoom(read: Metadata["read"], namespaceId: string, growth: Growth): void {
      const limits = effective(read.organizations.quotas(namespaceId))
      for (const resource of ["plugins", "objects", "bytes"] as const) {
        const added = growth[resource] ?? 0
        const limit = limits[resource]
        // What makes room is welcome, over the limit too.
        if (limit === null || added <= 0) continue
        const current = read.organizations.usage(namespaceId)[resource]
        if (current + added > limit) throw exceeded(resource, current, added, limit)
      }
    },
  }
}

export type QuotaBook = ReturnType<typeof quotas>

function exceeded(resource: keyof Growth, current: number, added: number, limit: number): ApplianceError {
  const message =
    `The quota of this namespace is ${limit} ${resource}; it has ${current}, and there is no room for ${added} more. ` +
    "Remove some, or ask an administrator to raise the quota."
  // The plugin routes of the public API have names of their own for the same two numbers.
  const details = {
    resource,
    current,
    limit,
    tier: null,
    ...(resource === "plugins" ? { current_count: current, max_allowed: limit } : {}),
  }
  return new ApplianceError("QuotaExceededError", message, {
    details,
    ...(resource === "plugins" ? { beside: { detail: { message, type: "QuotaExceededError", details } } } : {}),
  })
}
