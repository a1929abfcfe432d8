/** Names of the scan's rule sets: a setting, a report and a plugin's record hold one. `validator/rule-sets.ts` says what they hold. */
export const RULE_SET_NAMES = ["seed-2026-01", "compat-2026-03"] as const

export type RuleSetName = (typeof RULE_SET_NAMES)[number]

export const DEFAULT_RULE_SET: RuleSetName = "seed-2026-01"
