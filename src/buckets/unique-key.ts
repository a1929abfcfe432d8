import type { UniqueKey, UniqueKeyPolicy } from "../contract/buckets.ts"
import { ApplianceError, type FieldProblem, invalid } from "../errors.ts"
import { valueAt } from "../filtering.ts"
import { isRecord } from "../is-record.ts"
import type { StoredBlob } from "../metadata/stored-blobs.ts"
import { sha256 } from "../sha256.ts"

/** Longer keys are kept as their hash; an index entry stays small. */
const MAX_KEY_CHARACTERS = 512

/** The values of the key's fields as one comparable text. @throws ValidationError when one has no value */
export function uniqueValue(
  { fields: names }: UniqueKey,
  fields: Readonly<Record<string, unknown>>,
  blobs: readonly StoredBlob[],
): string {
  const values = names.map((name) => keyPart(name, fields, blobs))
  const problems: FieldProblem[] = names
    .filter((_, index) => values[index] === null)
    .map((name) => ({ type: "missing", location: ["body", name], message: "is part of the bucket's unique key" }))
  if (problems.length > 0)
    throw invalid(`The object has no value for the bucket's unique key (${names.join(", ")}).`, problems)
  const text = JSON.stringify(values)
  return text.length <= MAX_KEY_CHARACTERS ? text : sha256(text)
}

/** A blob's value or hash, else a field, else one in `metadata`. */
function keyPart(name: string, fields: Readonly<Record<string, unknown>>, blobs: readonly StoredBlob[]): unknown {
  const blob = blobs.find((candidate) => candidate.property === name)
  if (blob !== undefined) return blob.data ?? blob.sha256 ?? blob.url ?? null
  const own = valueAt(fields, name)
  if (own !== undefined && own !== null) return own
  return isRecord(fields.metadata) ? (valueAt(fields.metadata, name) ?? null) : null
}

/**
 * What to do when an object with the same key exists: the request's policy, then the bucket's (api.md §3.2).
 * @throws BadRequestError when neither says, or a policy needs a key that the bucket does not have
 */
export function policyFor(key: UniqueKey | null, asked: UniqueKeyPolicy | undefined): UniqueKeyPolicy {
  if (key === null) {
    if (asked === undefined || asked === "insert") return "insert"
    throw new ApplianceError("BadRequestError", `Policy '${asked}' needs a bucket with a unique_key.`)
  }
  const policy = asked ?? key.default_policy
  if (policy != null) return policy
  throw new ApplianceError(
    "BadRequestError",
    "The bucket has a unique_key without default_policy: say policy=insert, update or upsert.",
  )
}
