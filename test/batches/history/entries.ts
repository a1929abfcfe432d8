/** What the model of a history is made of. */

export const VERSIONS = ["1.0.0", "1.1.0"] as const
export type Version = (typeof VERSIONS)[number]

export interface ModelObject {
  readonly id: string
  readonly bucket: string
  text: string
  change: number
}

/** `key` says what a document is whatever its content: version, source, place. */
export interface ModelDocument {
  readonly key: string
  readonly version: Version
  readonly source: string
  readonly root: string
  readonly place: number
  readonly said: string
  readonly batch: number
  readonly granule: string
}

export interface ModelCollection {
  readonly id: string
  readonly plugin: string
  /** How its plugin cuts a text. */
  readonly cut: (text: string) => readonly string[]
  /** A word of a text with this fails; with `1` behind it, of version 1.0.0 only. */
  readonly bad: string
  /** A row with this word never ends in version 1.0.0. */
  readonly hangs: string
  readonly buckets: readonly string[]
  readonly sources: readonly string[]
  /** Its own source filter. */
  readonly takes: (row: { text: string; place: number }) => boolean
  version: Version
  enabled: boolean
  documents: ModelDocument[]
  /** By version. */
  readonly granules: Map<string, Set<string>>
  readonly marks: Map<string, Mark>
  /** By version: the code that it last ran in. */
  readonly entered: Map<Version, string>
}

export interface Mark {
  since: number
  change: number
  readonly version: Version
  readonly filtered: boolean
}

export interface FailedRow {
  readonly source: string
  readonly object: string
  retries: number
}

export interface ModelRun {
  readonly collection: string
  readonly tier: number
  version: Version
  code: string
  /** Over documents: the collections it reads. */
  readonly sources: readonly string[] | null
  takes: (row: Row) => boolean
  claim: { key: string; after: number; end: number; filtered: boolean } | { key: string } | null
  status: string
  done: number
  failed: Map<string, FailedRow>
  /** Rows of the first pass without an outcome. */
  untried: Map<string, FailedRow>
  /** Rows that hang in workers until the batch is canceled, and which of them a retry had opened. */
  hanging: { rows: number; failed: number }
  readonly granules: Set<string>
}

export interface ModelBatch {
  readonly number: number
  readonly id: string
  readonly bucket: string
  /** Null: over documents. */
  readonly objects: readonly string[] | null
  readonly runs: ModelRun[]
  retry: number
  status: string
}

export interface Row {
  /** Of the source: an object's id or a document's key. */
  readonly source: string
  readonly root: string
  readonly text: string
  readonly place: number
}

export interface Filter {
  readonly name: string
  readonly takes: (row: Row) => boolean
}
