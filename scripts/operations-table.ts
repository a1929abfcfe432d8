/**
 * The table "operation → test", read from the last run's report: every operation that is served has four tests, and a cell
 * without a passed one is a ✗. `bun scripts/operations-table.ts` prints it and exits 1 when any is missing.
 */
import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { readCases } from "./test-report.ts"

/** What each column's test titles begin with after `METHOD /path: ` (test/http/operations.test.ts). */
const COLUMNS = {
  good: "answers ",
  "4xx": "refuses ",
  foreign: "another organization's key ",
  malformed: "a malformed body ",
} as const

export interface OperationsTable {
  readonly lines: string[]
  /** `operation: column` of every cell without a passed test. */
  readonly missing: string[]
}

/** `operations` are `METHOD /path` as /openapi.json lists them; `reportXml` is the runner's junit report. */
export function operationsTable(reportXml: string, operations: readonly string[]): OperationsTable {
  const passed = readCases(reportXml)
    .filter(({ outcome }) => outcome === "passed")
    .map(({ name }) => name)
  const missing: string[] = []
  const rows = operations.map((operation) => {
    const cells = Object.entries(COLUMNS).map(([column, opening]) => {
      const found = passed.some((title) => title.startsWith(`${operation}: ${opening}`))
      if (!found) missing.push(`${operation}: ${column}`)
      return found ? "✓" : "✗"
    })
    return [operation, ...cells]
  })
  return { lines: aligned([["operation", ...Object.keys(COLUMNS)], ...rows]), missing }
}

function aligned(rows: readonly string[][]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  )
}

if (import.meta.main) {
  const dist = resolve(import.meta.dir, "../dist")
  const report = readFileSync(join(dist, "test-report.xml"), "utf8")
  const { lines, missing } = operationsTable(report, JSON.parse(readFileSync(join(dist, "operations.json"), "utf8")))
  console.log(lines.join("\n"))
  for (const cell of missing) console.log(`missing: ${cell}`)
  if (missing.length > 0) process.exitCode = 1
}
