import type { WorkerFailure } from "../workers/protocol.ts"

export interface Check {
  readonly name: string
  readonly status: "passed" | "failed" | "skipped"
  /** One line. */
  readonly summary: string
  /** Always shown, a line each: violations, warnings, reasons. */
  readonly findings: readonly string[]
  /** Shown with --verbose. */
  readonly details: readonly string[]
}

export function check(
  name: string,
  status: Check["status"],
  summary: string,
  more: { findings?: readonly string[]; details?: readonly string[] } = {},
): Check {
  return { name, status, summary, findings: more.findings ?? [], details: more.details ?? [] }
}

/** The author's own traceback; a missing module says how modules get there. */
export function failure(name: string, error: WorkerFailure, findings: readonly string[] = []): Check {
  const advice =
    error.error_type === "dependency"
      ? ["Name its package in the manifest's dependencies, or in requirements.txt beside it."]
      : []
  const [first = "", ...more] = error.message.split("\n")
  return check(name, "failed", `${error.exception}: ${first}`, {
    findings: [...more, ...findings, ...advice],
    details: error.traceback.split("\n"),
  })
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`
}
