import { decodePartCursor, encodePartCursor, FOLLOWING_PARTS, unusable } from "./cursor.ts"
import type { Session } from "./database.ts"
import type { Position } from "./fetch.ts"
import { Parameters } from "./parameters.ts"
import { deadMarks } from "./part-files.ts"
import type { PartRef } from "./protocol.ts"
import { type Condition, scan } from "./scan.ts"

/** Parts looked at in one statement: few at first, since a page is often full early. */
const FIRST_WAVE = 4
const WAVE_GROWTH = 4

export interface PageBounds {
  readonly cursor: string | null
  readonly offset: number
  /** Positions to find at most. */
  readonly count: number
}

/**
 * Positions in the order of the parts and, in a part, of its rows. Without a condition the parts' row counts say where
 * they are and no file but the dead files is read; with one, only as many parts as it takes to fill the page.
 */
export async function positionsInOrder(
  session: Session,
  parts: readonly PartRef[],
  condition: Condition,
  bounds: PageBounds,
): Promise<Position[]> {
  const start = bounds.cursor === null ? { part: 0, position: -1 } : resume(parts, bounds.cursor)
  const found = condition.restricts
    ? await filtered(session, parts, condition, start, bounds.offset + bounds.count)
    : await unfiltered(parts, start, bounds.offset + bounds.count)
  return found.slice(bounds.offset)
}

export function cursorAfter(parts: readonly PartRef[], { part, position }: Position): string {
  const named = parts.slice(part, part + 1 + FOLLOWING_PARTS)
  return encodePartCursor(
    named.map((ref) => ref.part_id),
    position,
  )
}

function resume(parts: readonly PartRef[], cursor: string): Position {
  const { p: ids, i: position } = decodePartCursor(cursor)
  for (const [index, id] of ids.entries()) {
    const part = parts.findIndex((ref) => ref.part_id === id)
    // Where the page ended is gone, with all its documents: go on at the first part after it that is still there.
    if (part >= 0) return { part, position: index === 0 ? position : -1 }
  }
  throw unusable("is too old: the documents it stood at have been replaced")
}

async function unfiltered(parts: readonly PartRef[], start: Position, count: number): Promise<Position[]> {
  const found: Position[] = []
  for (let part = start.part; part < parts.length && found.length < count; part++) {
    const ref = parts[part]
    if (ref === undefined) break
    const marks = (await deadMarks([ref]))?.[0]
    const first = part === start.part ? start.position + 1 : 0
    for (let position = first; position < ref.rows && found.length < count; position++) {
      if (marks?.[position] !== 1) found.push({ part, position })
    }
  }
  return found
}

async function filtered(
  session: Session,
  parts: readonly PartRef[],
  condition: Condition,
  start: Position,
  count: number,
): Promise<Position[]> {
  const found: Position[] = []
  let wave = FIRST_WAVE
  for (let first = start.part; first < parts.length && found.length < count; first += wave / WAVE_GROWTH) {
    const parameters = new Parameters()
    const rows = await session.rows<Position>(
      `SELECT part, position FROM (${await scan(parts.slice(first, first + wave), condition, [], parameters)})
       ${first === start.part ? `WHERE part > 0 OR position > ${start.position}` : ""}
       ORDER BY part, position LIMIT ${count - found.length}`,
      parameters,
    )
    for (const { part, position } of rows) found.push({ part: first + part, position })
    wave *= WAVE_GROWTH
  }
  return found
}
