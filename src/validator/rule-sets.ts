/** Versioned sets of rules. A report and a plugin's record name the set they were made with. */
import type { RuleSetName } from "../rule-set-names.ts"

export interface RuleSet {
  readonly description: string
  /** Builtins of the seed's table that this set lets pass. A forbidden name that is read through them is still found. */
  readonly allows: ReadonlySet<string>
}

/** Any change of what is found changes the name, so that an old verdict can be told from a new one. */
export const RULE_SETS: Readonly<Record<RuleSetName, RuleSet>> = {
  "seed-2026-01": { description: "the tables of the seed page, and names of equal power", allows: new Set() },
  "compat-2026-03": {
    description: "as seed-2026-01, but getattr, hasattr and dir are allowed",
    allows: new Set(["getattr", "hasattr", "dir"]),
  },
}
