/** A row that a worker is asked, as the appliance itself knows it. */
export interface LineageRow {
  readonly row: number
  readonly object_id: string
  /** Of a row that is a document. */
  readonly source_document_id?: string
  /** JSON objects, as text. */
  readonly passthrough: string
  readonly source: string
}

/**
 * A line of a lineage file: row, object id, source document id or nothing, passthrough and source, between tabs. The last
 * two are JSON, which escapes tabs and line breaks; ids are ours. Nothing is quoted.
 */
export function lineageLine({ row, object_id, source_document_id, passthrough, source }: LineageRow): string {
  return `${row}\t${object_id}\t${source_document_id ?? ""}\t${passthrough}\t${source}\n`
}

/** What a line of a lineage file begins with. */
export function lineageStart(line: string): Pick<LineageRow, "row" | "object_id"> {
  const first = line.indexOf("\t")
  return { row: Number(line.slice(0, first)), object_id: line.slice(first + 1, line.indexOf("\t", first + 1)) }
}
