/** Which revisions get copies of whose requests; see `shadow.ts` for what becomes of them. */
import type { RunningRevision } from "./revision.ts"
import { Shadow } from "./shadow.ts"

/** A copy that takes longer says so in the report. */
const COPY_DEADLINE_MS = 120_000
const NONE: readonly Shadow[] = []

interface InShadow {
  readonly running: RunningRevision
  /** Of what is copied. */
  readonly source: string
  readonly shadow: Shadow
}

/** Keys are those of `rollout.ts`: a namespace and a plugin id. */
export function shadows(now: () => Date) {
  const inShadow = new Map<string, InShadow>()
  return {
    /** From now on `running`, of `key`, gets copies of what `before` is asked, which answers for `source`. */
    add(key: string, running: RunningRevision, source: string, before: RunningRevision): void {
      inShadow.set(key, { running, source, shadow: new Shadow(before, running, COPY_DEADLINE_MS, now()) })
    },

    /** The revision that got copies until now, for its end. */
    remove(key: string): RunningRevision | null {
      const ended = inShadow.get(key)
      inShadow.delete(key)
      return ended?.running ?? null
    },

    /** `running` answers for the key now, in place of another. */
    follow(key: string, running: RunningRevision): void {
      for (const { source, shadow } of inShadow.values()) if (source === key) shadow.follow(running)
    },

    get: (key: string): Shadow | undefined => inShadow.get(key)?.shadow,

    /** What gets copies of what this revision is asked. */
    of(running: RunningRevision): readonly Shadow[] {
      if (inShadow.size === 0) return NONE
      return [...inShadow.values()].flatMap(({ shadow }) => (shadow.before === running ? [shadow] : []))
    },

    revisions: (): RunningRevision[] => [...inShadow.values()].map(({ running }) => running),
  }
}
