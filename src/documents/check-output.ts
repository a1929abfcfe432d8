/**
 * Whether a worker's output is what it was asked for. In the usual case one look says so: one output for each row that was
 * asked, in order. Whatever else there is, further looks tell what is wrong with it, if anything.
 */
import type { Session } from "./database.ts"
import { HostileOutput } from "./hostile-output.ts"
import { Parameters } from "./parameters.ts"
import { ROW_GROUP } from "./part-files.ts"
import { tooLarge, type WriteLimits } from "./take-output.ts"

/**
 * Text of a row group, or one row: DuckDB's JSON functions take about seven times the text that they are at, in each
 * thread.
 */
const GROUP_BYTES = 2 * 1024 ** 2
/** Small row groups are looked at together up to here: what may be seen of them in JavaScript is as much. */
const SLICE_BYTES = 8 * 1024 ** 2
const SLICE_ROWS = 65_536

/** Outputs that are looked at together: positions, and input rows, the last included. */
export interface Slice {
  readonly first: number
  readonly last: number
  readonly firstRow: number
  readonly lastRow: number
}

export interface CheckedOutput {
  readonly rows: number
  /** What follows FROM: the outputs, as `o`, each beside the lineage of its row, `l`. */
  readonly pairs: string
  /** Whether `pairs` come in the order of the outputs. */
  readonly ordered: boolean
  readonly slices: readonly Slice[]
  /** True when every row group is small: statements may go through them all, and need no slices for the memory's sake. */
  readonly small: boolean
}

interface Block extends Slice {
  readonly rows: number
  /** Fields, and what is added to them. */
  readonly bytes: number
}

/**
 * Checks rows, indexes and vectors named as missing in the table `output` of `take-output.ts` against the tables `lineage`
 * and `failed` of `lineage.ts`.
 * @throws HostileOutput with the first reason not to take it
 */
export async function checkOutput(
  session: Session,
  features: readonly string[],
  failed: number,
  limits: WriteLimits,
): Promise<CheckedOutput> {
  const answered = failed === 0 ? "lineage" : `(FROM lineage WHERE "row" NOT IN (SELECT "row" FROM failed))`
  // Which rows stand beside each other is nowhere relied on: they are the same or the case is not the usual one.
  const beside = `output o POSITIONAL JOIN ${answered} l`
  const same = `o.position = o.rowid AND o."row" = l."row" AND o.output_index = 0 AND o.fields IS NOT NULL
    AND o.missing_vectors IS NOT NULL`
  const looked = await session.rows<Block & { readonly usual: boolean; readonly missing: boolean }>(
    `SELECT ${BLOCK}, bool_and(coalesce(${same}, false)) AS usual,
       coalesce(bool_or(len(o.missing_vectors) > 0), false) AS missing
     FROM ${beside} ${BY_BLOCK}`,
  )
  const usual = looked.every((block) => block.usual)
  if (!usual) await checkRows(session)
  if (!usual || looked.some((block) => block.missing)) await checkMissing(session, features)
  const pairs = usual ? beside : `output o JOIN lineage l ON l."row" = o."row"`
  const blocks = usual ? looked : await session.rows<Block>(`SELECT ${BLOCK} FROM ${pairs} ${BY_BLOCK}`)
  const total = sum(blocks.map((block) => block.bytes))
  // What is added to each output of a row multiplies: a text passed through to a thousand chunks of it.
  if (total > limits.fields_bytes) throw tooLarge(total, limits)
  const small = blocks.every((block) => block.bytes <= GROUP_BYTES)
  return {
    rows: sum(blocks.map((block) => block.rows)),
    pairs,
    ordered: usual,
    slices: small ? together(blocks) : await cut(session),
    small,
  }
}

/** In SQL, of the outputs `o`. */
export function within({ first, last }: Slice): string {
  return `o.position BETWEEN ${first} AND ${last}`
}

/** As `CheckedOutput.pairs`, of a slice: nothing else is read. */
export function pairsOf(slice: Slice): string {
  return `(FROM output o WHERE ${within(slice)}) o
    JOIN (FROM lineage WHERE "row" BETWEEN ${slice.firstRow} AND ${slice.lastRow}) l ON l."row" = o."row"`
}

/** What becomes a row group when all of them are small. */
const BLOCK = `min(o.position)::INTEGER AS first, max(o.position)::INTEGER AS last, min(o."row")::DOUBLE AS "firstRow",
  max(o."row")::DOUBLE AS "lastRow", count(*)::INTEGER AS rows, coalesce(sum(o.bytes + l.bytes), 0)::DOUBLE AS bytes`
const BY_BLOCK = `GROUP BY o.position // ${ROW_GROUP} ORDER BY first`

function together(blocks: readonly Block[]): Slice[] {
  const slices: (Slice & { bytes: number })[] = []
  for (const { first, last, firstRow, lastRow, bytes } of blocks) {
    const before = slices.at(-1)
    const fits = before !== undefined && before.bytes + bytes <= SLICE_BYTES
    if (fits) slices[slices.length - 1] = { ...before, last, lastRow, bytes: before.bytes + bytes }
    else slices.push({ first, last, firstRow, lastRow, bytes })
  }
  return slices
}

/** Where rows are large: each slice at most GROUP_BYTES or one row. */
function cut(session: Session): Promise<Slice[]> {
  return session.rows<Slice>(
    `SELECT min(position)::INTEGER AS first, max(position)::INTEGER AS last,
       min("row")::DOUBLE AS "firstRow", max("row")::DOUBLE AS "lastRow"
     FROM (
       SELECT position, "row", sum(output.bytes + lineage.bytes) OVER (ORDER BY position) // ${GROUP_BYTES} AS slice
       FROM output JOIN lineage USING ("row")
     ) GROUP BY slice, position // ${SLICE_ROWS} ORDER BY first`,
  )
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

async function checkRows(session: Session): Promise<void> {
  const [bad] = await session.rows<{ position: number; row: number | null; reason: string }>(
    `SELECT position::INTEGER AS position, "row"::DOUBLE AS "row", CASE
         WHEN "row" IS NULL OR output_index IS NULL OR fields IS NULL OR missing_vectors IS NULL THEN 'holds a null'
         WHEN NOT known THEN 'answers a row that was not asked'
         WHEN was_failed THEN 'answers a row that is reported as failed'
         WHEN "row" < row_before THEN 'is out of order'
         WHEN "row" = row_before AND output_index = index_before THEN 'is there twice'
         ELSE 'has an output_index that does not count from 0' END AS reason
     FROM (
       SELECT o.position, o."row", o.output_index, o.fields, o.missing_vectors,
         l."row" IS NOT NULL AS known, f."row" IS NOT NULL AS was_failed,
         lag(o."row") OVER before AS row_before, lag(o.output_index) OVER before AS index_before
       FROM output o LEFT JOIN lineage l ON l."row" = o."row" LEFT JOIN failed f ON f."row" = o."row"
       WINDOW before AS (ORDER BY o.position)
     )
     WHERE "row" IS NULL OR output_index IS NULL OR fields IS NULL OR missing_vectors IS NULL OR NOT known OR was_failed
        OR coalesce("row" < row_before, false)
        OR output_index <> CASE WHEN "row" = row_before THEN index_before + 1 ELSE 0 END
     ORDER BY position LIMIT 1`,
  )
  if (bad !== undefined) throw new HostileOutput(`Output ${bad.position} (row ${bad.row ?? "null"}) ${bad.reason}.`)

  const [unanswered] = await session.rows<{ row: number }>(
    `SELECT "row"::DOUBLE AS "row" FROM lineage
     WHERE "row" NOT IN (SELECT "row" FROM output) AND "row" NOT IN (SELECT "row" FROM failed)
     ORDER BY "row" LIMIT 1`,
  )
  if (unanswered !== undefined) {
    throw new HostileOutput(`Row ${unanswered.row} has neither an output nor an error.`)
  }
}

async function checkMissing(session: Session, features: readonly string[]): Promise<void> {
  const parameters = new Parameters()
  const [unknown] = await session.rows<{ row: number }>(
    `SELECT "row"::DOUBLE AS "row" FROM output
     WHERE len(missing_vectors) > 0 AND len(list_filter(missing_vectors,
       lambda name: name IS NULL OR NOT list_contains(${parameters.texts(features)}, name))) > 0
     ORDER BY position LIMIT 1`,
    parameters,
  )
  if (unknown !== undefined) {
    throw new HostileOutput(`Row ${unknown.row} says that a vector is missing which is no feature.`)
  }
}
