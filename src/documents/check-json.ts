import { jsonDepth, MAX_JSON_DEPTH } from "../json-depth.ts"
import type { Session } from "./database.ts"
import { HostileOutput } from "./hostile-output.ts"

/**
 * In SQL, of the column `fields`: DuckDB's parser takes more than JSON (NaN, Infinity, a comma too many) and any depth. True
 * of all that may hold such a thing, and of little else.
 */
export const SUSPICIOUS = `((strlen(fields) > ${2 * MAX_JSON_DEPTH}
    AND len(string_split(fields, '{')) + len(string_split(fields, '[')) > ${MAX_JSON_DEPTH + 2})
  OR regexp_matches(fields, '[:\\[,]\\s*-?(?i:nan|inf)|,\\s*[}\\]]'))`

/**
 * Looks at suspicious rows one by one. `o` is the table `output` of `take-output.ts`, `within` a condition on its rows: no
 * more than fit into memory.
 * @throws HostileOutput naming the row
 */
export async function checkSuspiciousJson(session: Session, within: string): Promise<void> {
  const suspicious = await session.rows<{ row: number; fields: string }>(
    `SELECT "row"::DOUBLE AS "row", fields FROM output o WHERE ${within} AND ${SUSPICIOUS} ORDER BY position`,
  )
  for (const { row, fields } of suspicious) {
    if (jsonDepth(fields) > MAX_JSON_DEPTH) {
      throw new HostileOutput(`The fields of row ${row} are nested deeper than ${MAX_JSON_DEPTH} levels.`)
    }
    if (!parses(fields)) throw new HostileOutput(`The fields of row ${row} are no valid JSON object.`)
  }
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
