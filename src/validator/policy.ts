/** The rules as a person reads them: what is looked for, how bad it is, why, and what to use instead. Made from the tables. */
import type { RuleSetName } from "../rule-set-names.ts"
import { FORBIDDEN_ARGUMENTS } from "./equal-power/arguments.ts"
import type { Unless } from "./equal-power/entry.ts"
import { EQUAL_POWER } from "./equal-power/lookup.ts"
import { RULE_SETS } from "./rule-sets.ts"
import { DUNDERS } from "./rules/dunder-warnings.ts"
import { FORBIDDEN_BUILTINS } from "./rules/forbidden-builtins.ts"
import { FORBIDDEN_MODULES } from "./rules/forbidden-modules.ts"
import { IMPORTLIB_FUNCTIONS } from "./rules/importlib-functions.ts"
import { IDENTITY_NAMES } from "./rules/module-identity.ts"
import { NOT_HANDED_ON } from "./rules/modules-as-values.ts"
import { OS_NAMES } from "./rules/os-functions.ts"
import { PICKLING_MODULES } from "./rules/pickle-warnings.ts"
import type { ForbiddenName } from "./rules/rule.ts"
import { UNPICKLING } from "./rules/unpickling.ts"

export interface PolicyRule {
  /** `forbidden module`, `name of equal power` and so on. */
  readonly rule: string
  readonly names: readonly string[]
  /** Warnings pass; in strict mode they fail. */
  readonly severity: "error" | "warning"
  readonly reason: string
  readonly instead: string
  /** For names of equal power: the name in the seed's table that they equal. */
  readonly like: string | null
  /** Uses of the names that pass. */
  readonly unless: string | null
}

export function policyRules(ruleSet: RuleSetName): PolicyRule[] {
  const { allows } = RULE_SETS[ruleSet]
  const builtins = [...FORBIDDEN_BUILTINS].filter(([name]) => !allows.has(name))
  return [
    ...ofTable("forbidden module", FORBIDDEN_MODULES),
    ...ofTable("forbidden builtin", builtins),
    ...ofTable("forbidden function", [...OS_NAMES, ...IMPORTLIB_FUNCTIONS, ...UNPICKLING]),
    warning("pickling module", PICKLING_MODULES, "what it reads can run any code", "Use json or safetensors."),
    warning("dunder attribute", DUNDERS, "it leads to the interpreter's insides", "Pass values as arguments."),
    ...EQUAL_POWER.filter(({ like }) => !allows.has(like)).map(
      ({ like, severity, reason, instead, modules = [], names = [], unless }): PolicyRule => ({
        rule: "name of equal power",
        names: [...modules, ...names.map((name) => name.replace(/^builtins\./, ""))],
        severity,
        reason,
        instead,
        like,
        unless: unless === undefined ? null : inWords(unless),
      }),
    ),
    ...[...FORBIDDEN_ARGUMENTS].map(([name, argument]) => error("forbidden argument", [name], argument)),
    error("module as a value", NOT_HANDED_ON, {
      reason: "what is done with the module where it is handed on cannot be followed",
      instead: "Name what you use of it, such as os.path; another plain name for it (system = os) is followed.",
    }),
    ...ofTable("changed identity", IDENTITY_NAMES),
    error("computed annotation", ["f-strings, % and + in annotations, changes of __annotations__"], {
      reason: "get_type_hints and the like run the text of an annotation as code",
      instead: "Write the type out, or leave get_type_hints and the like out.",
    }),
    error(
      "namespace as a whole",
      ["os.__dict__", "sys.__dict__", "builtins.__dict__", "__dict__ of the plugin's modules"],
      {
        reason: "a name of it that only the run will tell may be a forbidden one",
        instead: "Name the attribute.",
      },
    ),
    error("computed name", ["os", "builtins", "importlib", "pickle", "marshal", "sys", "sys.modules"], {
      reason: "an attribute or item of it by a computed name may be a forbidden one",
      instead: "Name the attribute, or use an import statement.",
    }),
    error("syntax", ["what CPython 3.10 to 3.13 cannot compile", "encodings other than UTF-8 and ASCII"], {
      reason: "what cannot be read cannot be judged",
      instead: "Correct the source; save it as UTF-8.",
    }),
  ]
}

/** Rows of a table with one reason are one rule. */
function ofTable(rule: string, table: Iterable<readonly [string, ForbiddenName]>): PolicyRule[] {
  const byReason = new Map<ForbiddenName, string[]>()
  for (const [name, entry] of table) byReason.set(entry, [...(byReason.get(entry) ?? []), name])
  return [...byReason].map(([entry, names]) => error(rule, names, entry))
}

function error(rule: string, names: Iterable<string>, { reason, instead }: ForbiddenName): PolicyRule {
  return { rule, names: [...names], severity: "error", reason, instead, like: null, unless: null }
}

function warning(rule: string, names: Iterable<string>, reason: string, instead: string): PolicyRule {
  return { rule, names: [...names], severity: "warning", reason, instead, like: null, unless: null }
}

function inWords(unless: Unless): string {
  switch (unless.kind) {
    case "argument": {
      const leftOut = unless.absent === "passes" ? " or without the argument" : ""
      return `called with ${unless.name}${unless.safe === null ? "" : `=${unless.safe}`}${leftOut}`
    }
    case "constant":
      return "the attribute's name is a string constant without __"
    case "read":
      return "only looked at, or, for sys.path, given the plugin's own folder"
    case "tested":
      return "only compared with, as in isinstance, or an annotation"
  }
}
