import { expect } from "bun:test"
import { type Scan, type ScanOptions, scanFiles, type Verdict, type Violation } from "../../src/validator/scan.ts"

export type Sources = Record<string, string | Uint8Array>

export function report(sources: Sources | string, options: Partial<ScanOptions> = {}): Scan {
  const files = typeof sources === "string" ? { "core.py": sources } : sources
  const bytes = Object.entries(files).map(([path, source]) => [path, Buffer.from(source)] as const)
  return scanFiles(new Map(bytes), { strict: false, ...options })
}

/** The report's verdict alone. */
export function scan(sources: Sources | string, options: Partial<ScanOptions> = {}): Verdict {
  const result = report(sources, options)
  return result.passed ? { passed: true, warnings: result.warnings } : { passed: false, violations: result.violations }
}

export function violationsOf(result: Verdict): Violation[] {
  return result.passed ? result.warnings : result.violations
}

/** `line:column message`, the explanation behind a name left out. */
export function briefly(result: Verdict): string[] {
  return violationsOf(result).map(
    ({ line, column, message }) => `${line}:${column} ${message.replace(/ \(.*$|(?<=^Use of \S+): .*$/, "")}`,
  )
}

/** The same without the modules that are handed on as values, which stop the plugin by themselves. */
export function followed(result: Verdict): string[] {
  return briefly(result).filter((found) => !found.endsWith(" as a value"))
}

/** That a plugin is refused, with `expected` (as `briefly` says it) among the findings. */
export function expectStopped(source: Sources | string, expected: string): void {
  const result = scan(typeof source === "string" ? `${source}\n` : source)
  expect(result.passed).toBe(false)
  expect(briefly(result)).toContain(expected)
}
