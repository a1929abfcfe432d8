/**
 * From documents to a worker's input: rows of a run over collections, straight from the parts to JSON lines. No row passes
 * through JavaScript but the vectors that an input asks for.
 */
import type { Database, Session } from "./database.ts"
import { quote } from "./database.ts"
import { openPartVectors } from "./fetch.ts"
import { Parameters } from "./parameters.ts"
import type { RowsWritten, WriteRowsRequest } from "./protocol.ts"
import { rowSql } from "./row-json.ts"
import { type Condition, readSelection } from "./scan.ts"
import { type OrdinalRange, overlapping, scanOrdinals } from "./source-parts.ts"

/** Text of documents that one statement is given: DuckDB's JSON functions take several times as much. */
const SLICE_BYTES = 2 * 1024 ** 2
const SLICE_ROWS = 16_384
/** Vectors stand in the statement as texts, some kilobytes each. */
const SLICE_ROWS_WITH_VECTORS = 1024

export async function writeRows(
  database: Database,
  request: WriteRowsRequest,
  deadlineMs: number,
): Promise<RowsWritten> {
  return database.session(deadlineMs, async (session) => {
    const drop = () => session.rows("DROP TABLE IF EXISTS temp.asked")
    await drop()
    try {
      return await write(session, request)
    } finally {
      await drop().catch(() => {})
    }
  })
}

async function write(session: Session, request: WriteRowsRequest): Promise<RowsWritten> {
  const range = { first: request.first_ordinal, end: request.end_ordinal, only: request.ordinals }
  const sources = overlapping(request.sources, range)
  const condition = await passingAll(session, request.filters)
  await session.rows(
    `CREATE TEMP TABLE asked (ordinal BIGINT, object_id VARCHAR, document_id VARCHAR, problem VARCHAR, line VARCHAR,
       lineage VARCHAR)`,
  )
  for (const slice of await slices(session, request, range, condition)) {
    await addRows(session, request, { ...request, sources: overlapping(sources, slice) }, slice, condition)
  }
  await copyLines(session, "line", request.input)
  await copyLines(session, "lineage", request.lineage)
  const asked = await session.rows<{ ordinal: number; object_id: string; document_id: string; problem: string | null }>(
    "SELECT ordinal::DOUBLE AS ordinal, object_id, document_id, problem FROM asked ORDER BY ordinal",
  )
  const good = asked.filter((row) => row.problem === null)
  return {
    ordinals: good.map((row) => row.ordinal),
    object_ids: good.map((row) => row.object_id),
    document_ids: good.map((row) => row.document_id),
    failed: asked.flatMap(({ problem: message, ordinal, object_id, document_id }) =>
      message === null ? [] : [{ ordinal, object_id, document_id, message }],
    ),
  }
}

async function passingAll(session: Session, filters: readonly unknown[]): Promise<Condition> {
  const conditions: Condition[] = []
  for (const filter of filters) conditions.push(await readSelection(session, { filters: filter }))
  return {
    restricts: conditions.some((condition) => condition.restricts),
    sql: (parameters) =>
      conditions.length === 0 ? "true" : conditions.map((condition) => condition.sql(parameters)).join(" AND "),
  }
}

/** Ranges of ordinals with a bounded amount of text, in order. */
async function slices(
  session: Session,
  request: WriteRowsRequest,
  range: OrdinalRange,
  condition: Condition,
): Promise<OrdinalRange[]> {
  const sources = overlapping(request.sources, range)
  if (sources.length === 0) return []
  const parameters = new Parameters()
  const rows = vectorNames(request).length === 0 ? SLICE_ROWS : SLICE_ROWS_WITH_VECTORS
  const scanned = await scanOrdinals(
    sources,
    range,
    condition,
    ["strlen(fields) + strlen(source) AS bytes"],
    parameters,
  )
  const found = await session.rows<{ first: number; end: number }>(
    `SELECT min(ordinal)::DOUBLE AS first, max(ordinal)::DOUBLE + 1 AS end FROM (
       SELECT ordinal, sum(bytes) OVER (ORDER BY ordinal) // ${SLICE_BYTES} AS text,
         row_number() OVER (ORDER BY ordinal) // ${rows} AS number
       FROM (${scanned})
     ) GROUP BY text, number ORDER BY first`,
    parameters,
  )
  return found.map((slice) => ({ ...slice, only: range.only }))
}

async function addRows(
  session: Session,
  request: WriteRowsRequest,
  { sources }: Pick<WriteRowsRequest, "sources">,
  slice: OrdinalRange,
  condition: Condition,
): Promise<void> {
  const vectors = await vectorTexts(session, request, sources, slice, condition)
  const parameters = new Parameters()
  const columns = ["document_id", "object_id", "collection_id", "plugin_id", "created_at", "fields", "source"]
  const scanned = await scanOrdinals(sources, slice, condition, columns, parameters)
  const { values, primary, texts } = rowSql(
    request.plan,
    (name) => {
      const own = vectors.get(name)
      return own === undefined ? null : `nullif((${parameters.texts(own)})[ordinal - ${slice.first} + 1], '')`
    },
    parameters,
  )
  // Materialized: DuckDB would compute each value at every place that names it.
  await session.rows(
    `INSERT INTO asked
     WITH read AS MATERIALIZED (SELECT * FROM (${scanned})),
       valued AS MATERIALIZED (SELECT *, ${values.join(", ")} FROM read),
       chosen AS MATERIALIZED (SELECT *, ${primary.join(", ")} FROM valued)
     SELECT ordinal, object_id, document_id, ${texts.join(", ")} FROM chosen ORDER BY ordinal`,
    parameters,
  )
}

/** The vectors that inputs ask for, as JSON, by name; a document's at its ordinal, counted from the slice's first. */
async function vectorTexts(
  session: Session,
  request: WriteRowsRequest,
  sources: WriteRowsRequest["sources"],
  slice: OrdinalRange,
  condition: Condition,
): Promise<Map<string, string[]>> {
  const names = vectorNames(request)
  const texts = new Map(names.map((name) => [name, new Array<string>(slice.end - slice.first).fill("")]))
  if (names.length === 0) return texts
  const parameters = new Parameters()
  const places = await session.rows<{ part: number; position: number; ordinal: number; missing_vectors: string[] }>(
    `SELECT part, position, ordinal::DOUBLE AS ordinal, missing_vectors
     FROM (${await scanOrdinals(sources, slice, condition, ["missing_vectors"], parameters)})`,
    parameters,
  )
  await using vectors = openPartVectors(sources.map(({ part }) => part))
  for (const { part, position, ordinal, missing_vectors } of places) {
    const own = await vectors.of(part, position, missing_vectors)
    for (const name of names) {
      const vector = own[name]
      const list = texts.get(name)
      if (vector !== undefined && list !== undefined) list[ordinal - slice.first] = JSON.stringify(vector)
    }
  }
  return texts
}

function vectorNames({ plan, sources }: WriteRowsRequest): string[] {
  const wanted = new Set(
    plan.inputs.flatMap((input) => (input.literal === undefined ? [input.path ?? input.name] : [])),
  )
  return [...new Set(sources.flatMap(({ part }) => part.features.map((feature) => feature.feature_name)))].filter(
    (name) => wanted.has(name),
  )
}

/** One text a line, as it is: there is no line break in it. */
async function copyLines(session: Session, column: "line" | "lineage", path: string): Promise<void> {
  await session.rows(
    `COPY (SELECT ${column} FROM asked WHERE problem IS NULL ORDER BY ordinal) TO ${quote(path)}
     (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\u0001', USE_TMP_FILE false)`,
  )
}
