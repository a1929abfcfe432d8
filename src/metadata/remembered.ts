/**
 * Rows that every request asks for again: who asks, in which namespace, of which plugin. A read of SQLite takes some 25 us here, and a
 * realtime request would make six of them. What is remembered is forgotten with the next write to any of these tables.
 */

/** Other processes write too (`mixpeek keys`); what they changed is seen this much later at most. */
const LOOK_EVERY_MS = 100
/** Of each kind of read. */
const MAX_ROWS = 1_000

export interface Memory {
  /** The same read, whose rows are kept; nobody may change them. What is not there is asked for each time. */
  remember<A extends readonly string[], T>(
    read: (...identifiers: A) => T | undefined,
  ): (...identifiers: A) => T | undefined
  /** Wraps a writer: whatever it does, everything is forgotten. */
  forgetting<W extends Record<string, (...args: never[]) => unknown>>(writer: W): W
  forget(): void
  /** Another number from what was written to these tables on: for what is made of several rows. */
  writes(): number
}

/** `outsideVersion` changes when another connection has written. */
export function rowMemory(outsideVersion: () => number): Memory {
  let generation = 0
  let outside = outsideVersion()
  let looked = performance.now()

  const current = (): number => {
    const at = performance.now()
    if (at - looked > LOOK_EVERY_MS) {
      looked = at
      const seen = outsideVersion()
      if (seen !== outside) generation += 1
      outside = seen
    }
    return generation
  }
  const forget = () => {
    generation += 1
  }
  return {
    remember<A extends readonly string[], T>(read: (...identifiers: A) => T | undefined) {
      const rows = new Map<string, T>()
      let of = generation
      return (...identifiers: A): T | undefined => {
        const now = current()
        if (of !== now || rows.size >= MAX_ROWS) {
          rows.clear()
          of = now
        }
        const key = identifiers.join("\u0000")
        const kept = rows.get(key)
        if (kept !== undefined) return kept
        const row = read(...identifiers)
        if (row !== undefined) rows.set(key, row)
        return row
      }
    },
    forgetting(writer) {
      const wrapped = Object.entries(writer).map(([name, write]) => [
        name,
        (...args: never[]) => {
          forget()
          return write(...args)
        },
      ])
      // The same names with functions of the same types.
      return Object.fromEntries(wrapped) as typeof writer
    },
    forget,
    writes: current,
  }
}
