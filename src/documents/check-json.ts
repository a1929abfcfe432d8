import type { Session } from "./database.ts"
import { HostileOutput } from "./hostile-output.ts"
import { Parameters } from "./parameters.ts"

/** Nested containers in one document; readers of documents may recurse. */
export const MAX_JSON_DEPTH = 64
/** Text that is looked at in one go. */
const BATCH_BYTES = 8 * 1024 ** 2

/**
 * DuckDB's parser takes more than JSON (NaN, Infinity) and any depth. Rows that may hold such a thing, which few do, are
 * looked at one by one; `output` is the table of `check-output.ts`.
 * @throws HostileOutput naming the row
 */
export async function checkSuspiciousJson(session: Session): Promise<void> {
  const suspicious = await session.rows<{ position: number; bytes: number }>(
    `SELECT position::INTEGER AS position, strlen(fields)::INTEGER AS bytes FROM output
     WHERE len(string_split(fields, '{')) + len(string_split(fields, '[')) > ${MAX_JSON_DEPTH + 2}
        OR regexp_matches(fields, '[:\\[,]\\s*-?(?i:nan|inf)')
     ORDER BY position`,
  )
  for (let first = 0; first < suspicious.length; ) {
    let end = first
    let bytes = 0
    while (end < suspicious.length && (bytes === 0 || bytes < BATCH_BYTES)) bytes += suspicious[end++]?.bytes ?? 0
    const parameters = new Parameters()
    const positions = parameters.numbers(suspicious.slice(first, end).map((row) => row.position))
    const rows = await session.rows<{ row: number; fields: string }>(
      `SELECT "row"::DOUBLE AS "row", fields FROM output WHERE list_contains(${positions}, position)`,
      parameters,
    )
    for (const { row, fields } of rows) {
      if (jsonDepth(fields) > MAX_JSON_DEPTH) {
        throw new HostileOutput(`The fields of row ${row} are nested deeper than ${MAX_JSON_DEPTH} levels.`)
      }
      if (!parses(fields)) throw new HostileOutput(`The fields of row ${row} are no valid JSON object.`)
    }
    first = end
  }
}

/** Containers inside each other, without recursion; the text need not be valid. */
export function jsonDepth(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === 0x5c) index++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x7b || code === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (code === 0x7d || code === 0x5d) depth--
  }
  return deepest
}

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    // Not JSON is what was asked; the parser's words would name bytes of a row.
    return false
  }
}
