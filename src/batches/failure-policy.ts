/** When failed rows end a batch: never (`finish`), or once there are more than so many, or than such a share of its rows. */
import type { FailurePolicy } from "../contract/batches.ts"
import type { RunRow } from "../metadata/batches.ts"

/** As it is stored: JSON, null for `finish`. */
export function storedPolicy(policy: FailurePolicy | null | undefined): string | null {
  return policy == null || policy === "finish" ? null : JSON.stringify(policy)
}

export function readPolicy(stored: string | null): FailurePolicy {
  return stored === null ? "finish" : JSON.parse(stored)
}

/**
 * What the batch's runs have failed of too many rows by, as a sentence; null while they may go on. Exact: a share is compared in whole
 * numbers, to a hundredth of a percent.
 */
export function failuresOver(stored: string | null, runs: readonly RunRow[]): string | null {
  const policy = readPolicy(stored)
  if (policy === "finish") return null
  const total = (key: "rows_in" | "rows_failed") => runs.reduce((sum, run) => sum + run[key], 0)
  const [failed, rows, limit] = [total("rows_failed"), total("rows_in"), policy.stop_after]
  const over =
    typeof limit === "number"
      ? failed > limit
      : failed * 10_000 > Math.round(Number.parseFloat(limit.slice(0, -1)) * 100) * rows
  return over
    ? `${failed} of ${rows} rows failed, and failure_policy says stop_after ${limit}: the rest was not run.`
    : null
}
