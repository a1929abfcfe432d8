/** The checks that `plugin test` and `plugin publish` share: structure, manifest, scan. */
import { DEFAULT_ARCHIVE_LIMITS } from "../archives/archive-limits.ts"
import { EntryNames } from "../archives/entry-names.ts"
import { contentProblem, MAGIC_BYTES } from "../archives/unpacking.ts"
import { readConfig } from "../config.ts"
import { normalizeVersion } from "../identifiers.ts"
import { judgeManifest } from "../plugins/manifest.ts"
import type { Note } from "../validator/notes.ts"
import { scanFiles, type Violation } from "../validator/scan.ts"
import { modulesIn } from "../workers/environments/modules.ts"
import type { Manifest } from "../workers/protocol.ts"
import type { Worker } from "../workers/worker.ts"
import { type Check, check, count, failure } from "./check.ts"
import { missingFiles, type PluginDirectory, sources } from "./plugin-directory.ts"

/** Importing a large library on a cold disk takes this long; a manifest that takes longer is stuck. */
const MANIFEST_DEADLINE_MS = 60_000

export async function checkStructure(plugin: PluginDirectory): Promise<Check> {
  const missing = missingFiles(plugin)
  if (missing.length > 0) {
    return check("Structure", "failed", `${missing.join(" and ")} missing in ${plugin.directory}`)
  }
  const refused = await refusedFiles(plugin)
  if (refused.length > 0) {
    return check("Structure", "failed", "files that no plugin may carry", { findings: refused })
  }
  const has = (path: string) => plugin.files.some((file) => file.path === path)
  const parts = ["manifest.py", "pipeline.py", ...(has("realtime.py") ? ["realtime.py"] : [])]
  return check("Structure", "passed", `${parts.join(", ")}; ${plugin.files.length} files`, {
    findings: plugin.leftOut.map((path) => `left out, because it is no regular file: ${path}`),
    details: plugin.files.map(({ path }) => path),
  })
}

/** The server's own rules of names and first bytes, on what would be packed. */
async function refusedFiles(plugin: PluginDirectory): Promise<string[]> {
  const names = new EntryNames(DEFAULT_ARCHIVE_LIMITS)
  const problems: string[] = []
  for (const { path, absolute } of plugin.files) {
    const verdict = names.judge(path, "file")
    if (verdict.verdict === "refuse") problems.push(verdict.problem)
    if (verdict.verdict !== "write") continue
    const problem = contentProblem(path, Buffer.from(await Bun.file(absolute).slice(0, MAGIC_BYTES).bytes()))
    if (problem !== null) problems.push(problem)
  }
  return problems
}

export interface ManifestCheck {
  readonly check: Check
  readonly manifest: Manifest | null
  readonly hasRealtime: boolean
}

/** Imports manifest.py in the worker, as the server does at confirm, and judges names, version and features. */
export async function checkManifest(worker: Worker, signal: AbortSignal): Promise<ManifestCheck> {
  const reply = await worker.request({ type: "read_manifest" }, { deadlineMs: MANIFEST_DEADLINE_MS, signal })
  if (reply.type === "failed") {
    return { check: failure("Manifest", reply.error), manifest: null, hasRealtime: false }
  }
  const { manifest, warnings, has_realtime: hasRealtime } = reply
  const problems = manifestProblems(manifest)
  const features = manifest.features.map(
    ({ feature_name, feature_type, embedding_dim }) =>
      `${feature_name} (${[feature_type, embedding_dim].filter((part) => part !== null).join(", ")})`,
  )
  const summary =
    problems.length > 0
      ? `${problems.length} problem${problems.length === 1 ? "" : "s"}`
      : `${manifest.feature_extractor_name} ${manifest.version}; ${features.join(", ") || "no vector features"}`
  return {
    check: check("Manifest", problems.length > 0 ? "failed" : "passed", summary, {
      findings: [...problems, ...warnings.map((warning) => `warning: ${warning}`)],
      details: [
        ...schemaLine("input", manifest.input_schema),
        ...schemaLine("output", manifest.output_schema),
        ...schemaLine("parameters", manifest.parameter_schema),
      ],
    }),
    manifest,
    hasRealtime,
  }
}

/** What the server would refuse, by the server's own rules. */
function manifestProblems(manifest: Manifest): string[] {
  const { feature_extractor_name: name, version } = manifest
  const problems: string[] = []
  if (!/^[a-zA-Z][a-zA-Z0-9_]{2,63}$/.test(name)) {
    problems.push(`feature_extractor_name '${name}': 3 to 64 letters, digits and _, a letter first`)
  }
  const judgement = judgeManifest(manifest, { name, version: normalizeVersion(version) ?? "" })
  return judgement.ok ? problems : [...problems, ...judgement.problems]
}

function schemaLine(title: string, schema: Record<string, unknown> | null): string[] {
  if (schema === null) return [`${title}: not declared`]
  const properties = typeof schema.properties === "object" && schema.properties !== null ? schema.properties : {}
  return [`${title}: ${Object.keys(properties).join(", ") || "no fields"}`]
}

export interface ScanCheck {
  readonly check: Check
  /** The server's own words: `violations` holds warnings too. */
  readonly report: ScanReport
}

export interface ScanReport {
  readonly rule_set: string
  readonly passed: boolean
  readonly violations: readonly Violation[]
  readonly notes: readonly Note[]
}

/**
 * The server's own scan, on the author's files. The settings are the server's: the same environment variables.
 * @param sitePackages folders of the environment in which the plugin will run; what is imported from elsewhere is noted
 */
export async function checkScan(
  plugin: PluginDirectory,
  options: { strict?: boolean | undefined; sitePackages?: readonly string[] },
): Promise<ScanCheck> {
  const { strictScan, ruleSet } = readConfig({}, 1)
  const environment = options.sitePackages === undefined ? {} : { environment: modulesIn(options.sitePackages) }
  const scan = scanFiles(await sources(plugin), { strict: options.strict ?? strictScan, ruleSet, ...environment })
  const violations = scan.passed ? scan.warnings : scan.violations
  const errors = violations.filter(({ severity }) => severity === "error").length
  const warnings = violations.length - errors
  const counts = [
    ...(errors > 0 ? [count(errors, "error")] : []),
    ...(warnings > 0 ? [count(warnings, "warning")] : []),
    ...(scan.notes.length > 0 ? [count(scan.notes.length, "note")] : []),
  ]
  return {
    check: check("Security scan", scan.passed ? "passed" : "failed", counts.join(", ") || "nothing forbidden", {
      findings: [
        ...violations.map(describeViolation),
        ...scan.notes.map(({ file, line, column, message }) => `${file}:${line}:${column} note: ${message}`),
      ],
      details: [`rules: ${scan.ruleSet} ('mixpeek plugin rules' explains them)`],
    }),
    report: {
      rule_set: scan.ruleSet,
      passed: scan.passed,
      violations,
      notes: scan.notes.map(({ file, line, column, message }) => ({ file, line, column, message })),
    },
  }
}

export function describeViolation({ file, line, column, message, severity }: Violation): string {
  return `${file}:${line}:${column} ${severity === "warning" ? "warning: " : ""}${message}`
}
