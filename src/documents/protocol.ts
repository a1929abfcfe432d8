/**
 * What the appliance and its documents process say to each other over descriptor 3 (frames of `frames.ts`, kind 1, JSON).
 * A reply carries the id of its request. Both sides parse: the process opens files that hostile code wrote, so what it
 * says is not trusted either. Rows of a part never travel; a page of documents does, and is cut at PAGE_BYTES.
 */
import { z } from "zod"
import type { ErrorType } from "../errors.ts"

/** A request names parts, rows or filter values: some tens of bytes each, at most some hundred thousand of them. */
export const MAX_REQUEST_BYTES = 64 * 1024 ** 2
/** Room for a page of PAGE_BYTES, for one document more, and for what JSON adds to it. */
export const MAX_REPLY_BYTES = 256 * 1024 ** 2
/** A page that would be larger ends earlier and says how to go on. */
export const PAGE_BYTES = 64 * 1024 ** 2
/** Contract of list requests (api.md §0.3). */
export const MAX_LIMIT = 1000
export const MAX_OFFSET = 10_000

const Path = z.string().min(2).max(4096).startsWith("/")
const Id = z.string().min(1).max(256)
const Rows = z.array(z.int().min(0))

const FeatureFile = z.object({
  feature_name: Id,
  embedding_dim: z.int().min(1).max(65_536),
  /** The `<i>` of `<part>.<i>.f32`. */
  file_index: z.int().min(0).max(1000),
})

const PartRef = z.object({
  part_id: Id,
  /** Absolute, without an ending. */
  path: Path,
  dead_file: Path.nullish(),
  features: z.array(FeatureFile).max(1000),
  /** Documents in the part, dead ones included. */
  rows: z
    .int()
    .min(0)
    .max(2 ** 31 - 1),
})
export type PartRef = Readonly<z.input<typeof PartRef>>

const WritePart = z.object({
  type: z.literal("write_part"),
  /** Lines that the appliance wrote (`lineage-line.ts`). */
  lineage: Path,
  /** The appliance's copy of the worker's `scalars.parquet`: hostile. */
  scalars: Path,
  /** The worker's own vector files, in the order of the features, with their sizes when they were seen: hostile. */
  vectors: z
    .array(
      z.object({
        feature_name: Id,
        embedding_dim: z.int().min(1).max(65_536),
        path: Path,
        bytes: z.int().min(0).optional(),
      }),
    )
    .max(1000),
  /** Where the part goes, absolute and without an ending: `<part>.parquet` and `<part>.<i>.f32`. */
  part: Path,
  identity: z.object({ collection_id: Id, plugin_id: Id, plugin_version: Id, code_hash: Id }),
  failed_rows: Rows.optional(),
  /** ISO 8601; stands on every document of the part. */
  created_at: z.string().min(1).max(64),
  /** Lower or raise what is taken from a worker; the defaults stand in `write-part.ts`. */
  limits: z
    .object({
      rows_out: z
        .int()
        .min(1)
        .max(2 ** 31 - 1),
      scalars_bytes: z.int().min(1),
      fields_bytes: z.int().min(1),
    })
    .partial()
    .optional(),
})
export type WritePartRequest = Omit<z.input<typeof WritePart>, "type">

/** A part among those that a run reads, at its place in the run's ordinals. */
const SourcePart = z.object({ part: PartRef, first_ordinal: z.int().min(0) })
export type SourcePart = z.input<typeof SourcePart>

const range = { first_ordinal: z.int().min(0), end_ordinal: z.int().min(0) }

const FindSuperseded = z.object({
  type: z.literal("find_superseded"),
  parts: z.array(PartRef),
  lineage: Path,
  failed_rows: Rows.optional(),
  /** Rows whose object or document has gone since they were written. */
  stale_rows: Rows.optional(),
  /** The part that the rows became; null when they became none. */
  own: PartRef.nullable().optional(),
  /** Of a run over documents. */
  chain: z
    .object({
      /** What the rows came from, as it is now; what is gone is left out. */
      sources: z.array(SourcePart),
      ...range,
      /** All that the source collections hold now. */
      living: z.array(PartRef),
      /** What other versions made: of it goes only what was made of documents that live no more. */
      beside: z.array(PartRef),
    })
    .optional(),
})
export type FindSupersededRequest = Omit<z.input<typeof FindSuperseded>, "type">

const FindMadeOf = z.object({
  type: z.literal("find_made_of"),
  parts: z.array(PartRef),
  /** Parts whose documents go: all of them, or those that are dead by `dead_file` and not by the part's own. */
  gone: z.array(z.object({ part: PartRef, dead_file: Path.nullable().optional() })),
})
export type FindMadeOfRequest = Omit<z.input<typeof FindMadeOf>, "type">

const MAX_NAMES = 10_000
const Name = z.string().min(1).max(256)

/** How documents become rows of a plugin (batches/inputs.ts says the same of objects). */
const RowPlan = z.object({
  collection_id: Id,
  plugin_id: Id,
  plugin_version: Id,
  code_hash: Id,
  inputs: z
    .array(
      z.object({
        name: Name,
        /** Dotted, when the input is mapped. */
        path: Name.nullable(),
        /** In place of everything, when the key is there. */
        literal: z.unknown().optional(),
        fallback: z.unknown().optional(),
        /** RE2; the kind of file that the input's name says. */
        mime_pattern: z.string().max(256).nullable(),
      }),
    )
    .max(MAX_NAMES),
  /** What a file is of which no byte and no name told anything, by its type. */
  mime_of_type: z.record(Name, Name),
  /** RE2; files that the plugin takes. */
  mime_patterns: z.array(z.string().max(256)).max(MAX_NAMES),
  /** Targets are distinct. */
  passthrough: z
    .array(z.object({ source_path: Name, target_path: Name, default: z.unknown().optional(), required: z.boolean() }))
    .max(MAX_NAMES),
  include_all_source_fields: z.boolean(),
  /** Fields that are not among all of them: targets, and what is renamed. */
  named: z.array(Name).max(MAX_NAMES),
})
export type RowPlan = z.input<typeof RowPlan>

const WriteRows = z.object({
  type: z.literal("write_rows"),
  sources: z.array(SourcePart),
  ...range,
  /** Of the range, only these; null and absent: all. */
  ordinals: Rows.nullish(),
  /** As lists take them; a document passes all. */
  filters: z.array(z.unknown()).max(100),
  plan: RowPlan,
  /** Where the rows go, JSON lines, and their lineage (`lineage-line.ts`). */
  input: Path,
  lineage: Path,
})
export type WriteRowsRequest = Omit<z.input<typeof WriteRows>, "type">

const selection = {
  parts: z.array(PartRef),
  /**
   * Documents of a plugin version are left out where one of the parts `by` (indexes) has a living one of the same object, or,
   * when they were made of documents, of the same source document.
   */
  outranked: z
    .array(z.object({ plugin_id: Id, by: z.array(z.int().min(0)), of: z.enum(["object", "document"]) }))
    .optional(),
  /** api.md §0.4; null and absent take everything. */
  filters: z.unknown().optional(),
  /** A substring of the document id or of any string value; `*` stands for any run of characters. */
  search: z.string().max(1000).nullish(),
  caseSensitive: z.boolean().optional(),
}

const List = z.object({
  type: z.literal("list"),
  ...selection,
  sort: z.object({ field: z.string().min(1).max(256), direction: z.enum(["asc", "desc"]) }).nullish(),
  /** Dotted paths of `fields` to answer; everything when absent or empty. */
  select: z.array(z.string().min(1).max(256)).max(1000).nullish(),
  limit: z.int().min(1).max(MAX_LIMIT),
  /** Documents to leave out, counted from the cursor when there is one. */
  offset: z.int().min(0).max(MAX_OFFSET).optional(),
  cursor: z.string().max(4096).nullish(),
  includeTotal: z.boolean().optional(),
  returnVectors: z.boolean().optional(),
  /** A dotted path; then the answer has groups, and limit, cursor and total count groups. */
  groupBy: z.string().min(1).max(256).nullish(),
})
export type ListRequest = Omit<z.input<typeof List>, "type">
/** A list request as the process has parsed it. */
export type ParsedList = z.output<typeof List>

const Get = z.object({
  type: z.literal("get"),
  parts: z.array(PartRef),
  documentId: z.string().max(256),
  returnVectors: z.boolean().optional(),
})
export type GetRequest = Omit<z.input<typeof Get>, "type">

const Count = z.object({ type: z.literal("count"), ...selection })
export type CountRequest = Omit<z.input<typeof Count>, "type">

/** The first message; everything else waits for `ready`. */
const Open = z.object({
  type: z.literal("open"),
  /** Only `documents/` and `spool/` below it are readable. */
  data_dir: Path,
  temporary_dir: Path,
  memory_limit_mb: z.int().min(64),
  threads: z.int().min(1).max(1024),
  query_deadline_ms: z.int().min(1),
  write_deadline_ms: z.int().min(1),
  landing_fault: z.object({ code: z.literal("EIO"), rate: z.number().min(0).max(1) }).nullable(),
})
export type OpenMessage = z.output<typeof Open>

export const ToDocuments = z.discriminatedUnion("type", [
  Open,
  WritePart,
  FindSuperseded,
  FindMadeOf,
  WriteRows,
  List,
  Get,
  Count,
])
export type ToDocuments = z.output<typeof ToDocuments>
export type DocumentsRequest = z.input<typeof ToDocuments>

/** Free JSON that is not copied while it is checked: the process has parsed it before. */
const JsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
)

const StoredDocument = z.object({
  document_id: z.string(),
  collection_id: z.string(),
  object_id: z.string(),
  output_index: z.int(),
  plugin_id: z.string(),
  created_at: z.string(),
  fields: JsonObject,
  source: JsonObject,
  vectors: z.record(z.string(), z.array(z.number())).optional(),
})
export type StoredDocument = z.output<typeof StoredDocument>

const PartWritten = z.discriminatedUnion("ok", [
  z.object({
    type: z.literal("part_written"),
    ok: z.literal(true),
    rows_out: z.int(),
    rows_done: z.int(),
    bytes: z.int(),
  }),
  z.object({
    type: z.literal("part_written"),
    ok: z.literal(false),
    reason: z.string().max(4096),
    too_large: z.boolean(),
  }),
])
const Superseded = z.object({
  type: z.literal("superseded"),
  parts: z.array(z.object({ part_id: z.string(), dead_rows: z.int(), dead_file: z.string() })),
})
const RowsWritten = z.object({
  type: z.literal("rows_written"),
  /** Aligned: the rows that were written, in order, with their root objects and their documents. */
  ordinals: Rows,
  object_ids: z.array(z.string()),
  document_ids: z.array(z.string()),
  /** Documents that cannot be a row, and why. */
  failed: z.array(z.object({ ordinal: z.int(), object_id: z.string(), document_id: z.string(), message: z.string() })),
})
export type RowsWritten = Omit<z.output<typeof RowsWritten>, "type">
const Page = z.object({
  type: z.literal("page"),
  documents: z.array(StoredDocument),
  next_cursor: z.string().optional(),
  total: z.int().optional(),
  groups: z.array(z.object({ group_key: z.unknown(), documents: z.array(StoredDocument), count: z.int() })).optional(),
})
const Found = z.object({ type: z.literal("found"), document: StoredDocument.nullable() })
const Counted = z.object({ type: z.literal("counted"), count: z.int() })
const Ready = z.object({ type: z.literal("ready"), pid: z.int(), duckdb: z.string().max(64) })
const Failed = z.object({
  type: z.literal("failed"),
  error: z.object({
    /** Null: a fault, nothing that the caller can act on. */
    type: z.enum(["ValidationError", "TimeoutError", "ServiceUnavailableError"] satisfies ErrorType[]).nullable(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
})

export const FromDocuments = z.union([PartWritten, Superseded, RowsWritten, Page, Found, Counted, Ready, Failed])
export type FromDocuments = z.output<typeof FromDocuments>

export type WritePartAnswer =
  | { readonly ok: true; readonly rows_out: number; readonly rows_done: number; readonly bytes: number }
  /** `too_large`: nothing is wrong but the amount; of fewer rows the same output would be taken. */
  | { readonly ok: false; readonly reason: string; readonly too_large: boolean }
export interface SupersededPart {
  readonly part_id: string
  /** Documents of the part that are dead now, earlier ones included. */
  readonly dead_rows: number
  readonly dead_file: string
}
export type DocumentPage = Omit<z.output<typeof Page>, "type">

export interface ReplyTypes {
  readonly open: "ready"
  readonly write_part: "part_written"
  readonly find_superseded: "superseded"
  readonly find_made_of: "superseded"
  readonly write_rows: "rows_written"
  readonly list: "page"
  readonly get: "found"
  readonly count: "counted"
}
export type ReplyTo<Type extends keyof ReplyTypes> = Extract<FromDocuments, { type: ReplyTypes[Type] }>
