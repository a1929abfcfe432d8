/** Lines by key, the newest of each, in memory: what plugins print is bounded in lines and characters, and so is how many keys have any. */
export interface LineBounds {
  /** Of one key. */
  readonly lines: number
  readonly characters: number
  /** With more, whoever was written to longest ago is forgotten whole. */
  readonly keys: number
}

export function newestLines<L extends { readonly message: string }>(bounds: LineBounds) {
  const logs = new Map<string, { lines: L[]; characters: number }>()
  return {
    has: (key: string): boolean => logs.has(key),

    /** From now on it has lines, none yet. */
    open(key: string): void {
      if (!logs.has(key)) logs.set(key, { lines: [], characters: 0 })
      for (const oldest of logs.keys()) {
        if (logs.size <= bounds.keys) break
        logs.delete(oldest)
      }
    },

    /** To a key that is open; else nothing happens. */
    add(key: string, line: L): void {
      const log = logs.get(key)
      if (log === undefined) return
      logs.delete(key)
      logs.set(key, log)
      log.lines.push(line)
      log.characters += line.message.length
      while (log.lines.length > bounds.lines || (log.characters > bounds.characters && log.lines.length > 1)) {
        log.characters -= log.lines.shift()?.message.length ?? 0
      }
    },

    /** Oldest first, the newest `limit` of those that pass. */
    read(key: string, limit: number, passes: (line: L) => boolean = () => true): L[] {
      return (logs.get(key)?.lines ?? []).filter(passes).slice(-limit)
    },

    forget: (key: string): void => void logs.delete(key),
  }
}
