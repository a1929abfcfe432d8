/**
 * The fields of a worker's output: each a JSON object that names no key twice, by readers stricter than DuckDB's. Told of
 * all at once where it can be; the row and the reason are looked for only when something is not as it mostly is.
 */
import { checkSuspiciousJson, SUSPICIOUS } from "./check-json.ts"
import { type CheckedOutput, pairsOf, type Slice, within } from "./check-output.ts"
import type { Session } from "./database.ts"
import { HostileOutput } from "./hostile-output.ts"
import { letting } from "./letting.ts"
import type { Merge } from "./merge-fields.ts"
import { JSON_SPACE } from "./merge-fields.ts"

/**
 * @param plain whether nothing is passed through to any row
 * @returns how fields and what is passed through become one object
 * @throws HostileOutput naming the first row whose fields are not to be taken
 */
export async function checkFields(session: Session, output: CheckedOutput, plain: boolean): Promise<Merge> {
  let ways: readonly Merge[] = ["own", "append"]
  for (const slice of output.slices) {
    const found = await glance(session, output, slice, plain)
    if (found === null) await findFault(session, slice)
    ways = ways.filter((way) => found?.includes(way))
  }
  return ways[0] ?? "any"
}

/** The ways in which all fields of the slice can be merged; null when each is to be looked at. */
async function glance(session: Session, output: CheckedOutput, slice: Slice, plain: boolean): Promise<Merge[] | null> {
  const [looked] = await session.rows<{ sound: boolean; suspicious: boolean }>(
    `SELECT bool_and(starts_with(fields, '{') AND ends_with(fields, '}') AND json_valid(fields)) AS sound,
       bool_or(${SUSPICIOUS}) AS suspicious
     FROM output o WHERE ${within(slice)}`,
  )
  if (looked?.sound !== true) return null
  if (looked.suspicious) await checkSuspiciousJson(session, within(slice))
  // Rows mostly have the same names, and a list is slow to compare with itself.
  const [names] = await session.rows<{ repeated: boolean; own: boolean; append: boolean }>(
    plain
      ? `SELECT bool_or(${REPEATED}) AS repeated, true AS own, true AS append
         FROM (SELECT DISTINCT json_keys(o.fields) AS own FROM output o WHERE ${within(slice)})`
      : `SELECT bool_or(${REPEATED}) AS repeated, bool_and(bare OR list_has_all(own, passed)) AS own,
           bool_and(bare OR (len(own) > 0 AND len(passed) > 0 AND NOT list_has_any(own, passed))) AS append
         FROM (
           SELECT DISTINCT json_keys(o.fields) AS own, json_keys(l.passthrough) AS passed, l.passthrough = '{}' AS bare
           FROM ${output.slices.length === 1 ? output.pairs : pairsOf(slice)}
         )`,
  )
  if (names?.repeated !== false) return null
  return [...(names.own ? (["own"] as const) : []), ...(names.append ? (["append"] as const) : [])]
}

/** Readers disagree on which of two equal keys counts. */
const REPEATED = "len(own) <> list_unique(own)"

async function findFault(session: Session, slice: Slice): Promise<void> {
  const repeated = letting("own", "json_keys(fields)", REPEATED)
  const [bad] = await session.rows<{ row: number; reason: string }>(
    `SELECT "row"::DOUBLE AS "row", reason FROM (
       SELECT position, "row", CASE
         WHEN NOT starts_with(fields, '{') AND NOT starts_with(ltrim(fields, ${JSON_SPACE}), '{') THEN 'are no valid JSON object'
         WHEN NOT json_valid(fields) THEN 'are no valid JSON object'
         WHEN ${repeated} THEN 'name a key twice' END AS reason
       FROM output o WHERE ${within(slice)}
     ) WHERE reason IS NOT NULL ORDER BY position LIMIT 1`,
  )
  if (bad !== undefined) throw new HostileOutput(`The fields of row ${bad.row} ${bad.reason}.`)
  await checkSuspiciousJson(session, within(slice))
}
