import { ruleSet } from "../config.ts"
import { RULE_SET_NAMES } from "../rule-set-names.ts"
import { type PolicyRule, policyRules } from "../validator/policy.ts"
import { RULE_SETS } from "../validator/rule-sets.ts"
import { colors, print, printJson } from "./output.ts"

export interface RulesOptions {
  readonly ruleSet?: string
  readonly json?: boolean
}

/** @throws ConfigError when there is no such rule set */
export function pluginRules(options: RulesOptions): void {
  const name = ruleSet(options.ruleSet)
  const rules = policyRules(name)
  if (options.json === true) {
    printJson({ rule_set: name, description: RULE_SETS[name].description, rule_sets: RULE_SET_NAMES, rules })
    return
  }
  print(`Rule set ${colors.bold(name)}: ${RULE_SETS[name].description}.`)
  print("Errors refuse a plugin. Warnings pass, and fail with MIXPEEK_STRICT_SCAN or --strict.")
  for (const rule of rules) printRule(rule)
}

function printRule({ rule, names, severity, reason, instead, like, unless }: PolicyRule): void {
  print()
  const level = severity === "error" ? colors.red(severity) : colors.yellow(severity)
  print(`${level} ${rule}${like === null ? "" : ` (like ${like})`}`)
  print(`  ${names.join(", ")}`)
  print(`  why: ${reason}`)
  print(`  instead: ${instead}`)
  if (unless !== null) print(`  passes when: ${unless}`)
}
