/** Why a plugin is not taken, in the shapes of api.md §1.3: what the seed shows beside the envelope, the same in details. */
import { ApplianceError } from "../errors.ts"
import type { Violation } from "../validator/scan.ts"
import type { EnvironmentRefused } from "../workers/environments/refused.ts"
import type { WorkerFailure } from "../workers/protocol.ts"

export function noBytes(uploadId: string): ApplianceError {
  return new ApplianceError(
    "NotFoundError",
    `No bytes have come for plugin upload '${uploadId}' yet: PUT the archive to its presigned_url, then confirm.`,
    { details: { resource: "bytes of plugin upload", id: uploadId } },
  )
}

/** `detail` is one sentence; `errors` say each what is wrong. */
export function validationFailed(
  detail: string,
  errors: readonly string[] = [detail],
  details: Record<string, unknown> = {},
): ApplianceError {
  const [first = detail] = errors
  // Who reads the message alone, as exceptions show it, is not left with "does not fit".
  const message = errors.length === 1 && first !== detail ? `${detail}: ${first}` : detail
  return new ApplianceError("BadRequestError", message, {
    details: { validation_errors: errors, ...details },
    beside: { detail, validation_errors: errors },
  })
}

export function scanFailed({
  violations,
  ruleSet,
}: {
  violations: readonly Violation[]
  ruleSet: string
}): ApplianceError {
  const detail = "Security scan failed"
  const errors = violations.filter((violation) => violation.severity === "error")
  const first = errors[0] ?? violations[0]
  const place = first === undefined ? "" : ` First: ${first.file}:${first.line}: ${first.message}.`
  return new ApplianceError("BadRequestError", `${detail}: ${count(violations.length, "violation")}.${place}`, {
    details: { violations, rule_set: ruleSet },
    beside: { detail, violations },
  })
}

/** Plugin code failed while its manifest was read; the traceback has the author's frames first. */
export function manifestFailed(failure: WorkerFailure): ApplianceError {
  const { exception, message, error_type, stage, traceback } = failure
  const reason = `${exception}: ${message}`
  return validationFailed("manifest.py could not be read", [reason], { exception, error_type, stage, traceback })
}

/** Each wheel to bring stands in `missing_wheels`, the same in words in `validation_errors`. */
export function environmentRefused({ message, problems, missing }: EnvironmentRefused): ApplianceError {
  return validationFailed(message, problems, missing.length === 0 ? {} : { missing_wheels: missing })
}

/** The 409 of a registered version, with the `detail` that O81 shows. */
export function alreadyRegistered(name: string, version: string, id: string): ApplianceError {
  const detail = `Plugin ${name}@${version} already exists in this namespace`
  return new ApplianceError("AlreadyExistsError", `${detail}. Publish a higher version, or delete this one first.`, {
    details: { resource: "plugin", id },
    beside: { detail },
  })
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`
}
