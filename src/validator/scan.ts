/**
 * The contract between a plugin's author and the appliance: every `.py` of the plugin is parsed, its names are followed as
 * Python would, and each rule of `rules/` looks at what was found. Pure: files in, violations out, no Python involved.
 */
import { DEFAULT_RULE_SET, type RuleSetName } from "../rule-set-names.ts"
import type { FileBindings } from "./binding-records.ts"
import { collectBindings } from "./bindings.ts"
import { type Note, unknownImports } from "./notes.ts"
import { parsePython } from "./python-tree.ts"
import { resolveReferences } from "./references.ts"
import { RULE_SETS } from "./rule-sets.ts"
import { computedAnnotations } from "./rules/computed-annotations.ts"
import { computedNames } from "./rules/computed-names.ts"
import { dunderWarnings } from "./rules/dunder-warnings.ts"
import { equalPower } from "./rules/equal-power.ts"
import { forbiddenArguments } from "./rules/forbidden-arguments.ts"
import { forbiddenBuiltins } from "./rules/forbidden-builtins.ts"
import { forbiddenModules } from "./rules/forbidden-modules.ts"
import { importlibFunctions } from "./rules/importlib-functions.ts"
import { moduleIdentity } from "./rules/module-identity.ts"
import { modulesAsValues } from "./rules/modules-as-values.ts"
import { modulesByName } from "./rules/modules-by-name.ts"
import { osFunctions } from "./rules/os-functions.ts"
import { pickleWarnings } from "./rules/pickle-warnings.ts"
import type { Finding, Rule, RuleOptions } from "./rules/rule.ts"
import { unpickling } from "./rules/unpickling.ts"
import { wholeNamespaces } from "./rules/whole-namespaces.ts"
import { decodeSource, linePlaces } from "./source-text.ts"
import { Workspace } from "./syntax/workspace.ts"

/** The standard library's largest module has a quarter of it; generated data belongs in a file that is not code. */
export const MAX_SOURCE_BYTES = 1024 * 1024
/** Of all Python files of a plugin together: some 200,000 lines. */
export const MAX_PLUGIN_SOURCE_BYTES = 8 * 1024 * 1024
/** Some hundred bytes of memory each while scanning. Handwritten Python has one for every five to ten characters. */
const MAX_PLUGIN_NODES = 1_500_000
/** A person fixes the first hundreds; past this the answer would only cost memory. */
export const MAX_VIOLATIONS = 10_000

export interface Violation {
  /** Path inside the plugin, its top directory taken off. */
  file: string
  /** From 1. */
  line: number
  /** From 0, in characters of the line. */
  column: number
  message: string
  severity: "error" | "warning"
}

/** `violations` holds errors and warnings, sorted by file, line, column and message. */
export type Verdict = { passed: true; warnings: Violation[] } | { passed: false; violations: Violation[] }

export type Scan = Verdict & {
  ruleSet: RuleSetName
  /** What is worth knowing and no violation, sorted by file and line. */
  notes: Note[]
}

export interface ScanOptions {
  /** Warnings count as errors. */
  strict: boolean
  /** `seed-2026-01` by default. */
  ruleSet?: RuleSetName
  /** Top-level modules that the environment has beside the standard library. Without it nothing is noted as unknown. */
  environment?: ReadonlySet<string>
  /** Told of each file before it is read, with its size. */
  onFile?: (file: string, bytes: number) => void
}

const RULES: readonly Rule[] = [
  forbiddenModules,
  osFunctions,
  forbiddenBuiltins,
  importlibFunctions,
  computedNames,
  computedAnnotations,
  modulesByName,
  modulesAsValues,
  moduleIdentity,
  wholeNamespaces,
  unpickling,
  equalPower,
  forbiddenArguments,
  pickleWarnings,
  dunderWarnings,
]

/** Scans every file whose name ends in `.py`, in any letter case. Paths are as in the archive, bytes as on disk. */
export function scanFiles(files: ReadonlyMap<string, Uint8Array>, options: ScanOptions): Scan {
  const violations: Violation[] = []
  const parsed = new Map<string, FileBindings>()
  const workspace = new Workspace()
  let sourceBytes = 0
  let nodes = 0
  // In one order, so that the file that goes past a limit is the same one on every machine.
  for (const [file, bytes] of [...files].sort((a, b) => compare(a[0], b[0]))) {
    if (!/\.py$/i.test(file)) continue
    sourceBytes += bytes.length
    if (bytes.length > MAX_SOURCE_BYTES || sourceBytes > MAX_PLUGIN_SOURCE_BYTES) {
      violations.push(tooLarge(file, bytes.length))
      continue
    }
    options.onFile?.(file, bytes.length)
    const source = decodeSource(bytes)
    if (!source.ok) {
      const { line, column, reason } = source
      violations.push({ file, line, column, message: `Syntax error: ${reason}`, severity: "error" })
      continue
    }
    const { tree, problem } = parsePython(source.text, MAX_PLUGIN_NODES - nodes, workspace)
    if (problem !== null) violations.push(...placed(file, source.text, [{ ...problem, severity: "error" }]))
    if (tree === null) continue
    nodes += tree.size
    parsed.set(file, collectBindings(tree, parsed.size, workspace))
  }
  const ruleSet = options.ruleSet ?? DEFAULT_RULE_SET
  const ruleOptions: RuleOptions = { strict: options.strict, allows: RULE_SETS[ruleSet].allows }
  const { byFile, plugin, settled } = resolveReferences(parsed, workspace.names, options.environment)
  for (const [file, bindings] of parsed) {
    const references = byFile.get(file) ?? new Map<number, readonly string[]>()
    const findings = take(
      MAX_VIOLATIONS,
      RULES.map((rule) => rule({ path: file, plugin, bindings, references }, ruleOptions)),
    )
    for (const violation of placed(file, bindings.tree.text, findings)) violations.push(violation)
    if (!settled) violations.push(atTop(file, "Too complex: its names cannot be followed. Assign each name once"))
  }
  const sorted = withoutDuplicates(violations.sort(byPlace)).slice(0, MAX_VIOLATIONS)
  const report = {
    ruleSet,
    notes: options.environment === undefined ? [] : unknownImports(parsed, options.environment),
  }
  // Errors past the cut fail the scan too.
  if (violations.some(({ severity }) => severity === "error")) return { ...report, passed: false, violations: sorted }
  return { ...report, passed: true, warnings: sorted }
}

/** Up to `limit` of each rule, so that no rule crowds out another. */
function take(limit: number, sources: readonly Iterable<Finding>[]): Finding[] {
  const taken: Finding[] = []
  for (const source of sources) {
    let left = limit
    for (const finding of source) {
      if (left-- === 0) break
      taken.push(finding)
    }
  }
  return taken
}

function tooLarge(file: string, bytes: number): Violation {
  const inMiB = (limit: number) => `${limit / (1024 * 1024)} MiB`
  const limit =
    bytes > MAX_SOURCE_BYTES
      ? `a Python file may have ${inMiB(MAX_SOURCE_BYTES)}`
      : `a plugin's Python files may have ${inMiB(MAX_PLUGIN_SOURCE_BYTES)} together`
  return atTop(file, `Too large: ${limit}. Keep data out of the code`)
}

function placed(file: string, text: string, findings: readonly Finding[]): Violation[] {
  const places = linePlaces(
    text,
    findings.map(({ index }) => index),
  )
  return findings.map(({ index, message, severity }) => {
    const { line, column } = places.get(index) ?? { line: 1, column: 0 }
    return { file, line, column, message, severity }
  })
}

function atTop(file: string, message: string): Violation {
  return { file, line: 1, column: 0, message, severity: "error" }
}

/** By code units, not by locale: the order must be the same on every machine. */
function byPlace(a: Violation, b: Violation): number {
  return compare(a.file, b.file) || a.line - b.line || a.column - b.column || compare(a.message, b.message)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function withoutDuplicates(sorted: readonly Violation[]): Violation[] {
  return sorted.filter((violation, index) => {
    const before = sorted[index - 1]
    return before === undefined || byPlace(before, violation) !== 0
  })
}
