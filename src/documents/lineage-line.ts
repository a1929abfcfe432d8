/** A row that a worker is asked, as the appliance itself knows it. */
export interface LineageRow {
  readonly row: number
  readonly object_id: string
  /** Of a row that is a document. */
  readonly source_document_id?: string
  readonly passthrough: Record<string, unknown>
  readonly source: Record<string, unknown>
}

/**
 * A line of a lineage file: row, object id, source document id or nothing, passthrough and source, between tabs. The last
 * two are JSON, which escapes tabs and line breaks; ids are ours. Nothing is quoted.
 */
export function lineageLine({ row, object_id, source_document_id, passthrough, source }: LineageRow): string {
  return `${row}\t${object_id}\t${source_document_id ?? ""}\t${JSON.stringify(passthrough)}\t${JSON.stringify(source)}\n`
}
