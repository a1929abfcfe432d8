/**
 * The objects of a partition as text that SQLite puts together: a line for the worker and one for the lineage, some
 * thousand rows in one value. A row that became JavaScript on the way would cost ten times as much.
 */
import type { Db } from "./open.ts"
import type { PartitionRow } from "./partitions.ts"

/** Which objects: those of a partition, from the place on where an earlier look ended. */
export interface RowRange
  extends Pick<
    PartitionRow,
    "batch_id" | "collection_id" | "retry" | "first_ordinal" | "end_ordinal" | "after_seq" | "until_seq"
  > {
  readonly bucket_id: string
}

/** Of `rows` objects, the last with these marks: lines, each with its end. */
export interface RowLines {
  readonly rows: number
  readonly last_ordinal: number
  readonly last_seq: number
  readonly input: Uint8Array<ArrayBuffer>
  readonly lineage: Uint8Array<ArrayBuffer>
}

/** One object, for whom wants to look at it; `line` and `source` are as in `RowLines`. */
export interface RowObject {
  readonly ordinal: number
  readonly seq: number
  readonly object_id: string
  readonly bucket_id: string
  readonly fields: string
  readonly blobs: string
  readonly updated_at: string
  readonly line: string
  readonly source: string
}

/**
 * CROSS: the few ids first; SQLite would walk through the bucket. FROM to LIMIT of three kinds of partition, with the ordinal. Members may have been taken unchecked: an object of another
 * bucket is as good as gone. A row of a retry is the object of its error: where that stood may have been others' place since.
 */
const SOURCES = {
  members: {
    ordinal: "m.ordinal",
    from: `FROM batch_objects m JOIN objects o ON o.object_id = m.object_id AND o.bucket_id = @bucket_id
      WHERE m.batch_id = @batch_id AND m.ordinal >= @first_ordinal AND m.ordinal < @end_ordinal ORDER BY m.ordinal LIMIT @limit`,
  },
  arrived: {
    ordinal: "CAST(@first_ordinal AS INTEGER) + row_number() OVER (ORDER BY o.seq) - 1",
    from: `FROM objects o WHERE o.bucket_id = @bucket_id AND o.seq > @after_seq AND o.seq <= @until_seq ORDER BY o.seq LIMIT @limit`,
  },
  retry: {
    ordinal: "r.ordinal",
    from: `FROM retried_rows r JOIN row_errors e ON e.batch_id = r.batch_id AND e.collection_id = r.collection_id AND e.ordinal = r.ordinal
        CROSS JOIN objects o ON o.object_id = e.object_id AND o.bucket_id = @bucket_id
      WHERE r.batch_id = @batch_id AND r.collection_id = @collection_id AND r.open_in = @retry
        AND r.ordinal >= @first_ordinal AND r.ordinal < @end_ordinal ORDER BY r.ordinal LIMIT @limit`,
  },
} as const
type Kind = keyof typeof SOURCES

/** What a document keeps of its sources: never inline content, which the object has. Almost all objects have one blob. */
const LEFT_OUT = ["data", "key_prefix", "metadata", "sha256"]
const kept = (json: string, at: string) =>
  `json_remove(${json}, ${LEFT_OUT.map((key) => `'$${at}.${key}'`).join(", ")})`
const SOURCE = `'{"bucket_id":"' || bucket_id || '","key_prefix":' || json_quote(key_prefix) || ',"blobs":' ||
  CASE json_array_length(blobs) WHEN 0 THEN '[]' WHEN 1 THEN ${kept("blobs", "[0]")}
    ELSE (SELECT json_group_array(json(${kept("value", "")})) FROM json_each(blobs)) END || '}'`
/** `fields` and `blobs` are JSON of our own writing, on one line. */
const LINE = `'{"__row":' || ordinal || ',"object_id":"' || object_id || '","fields":' || fields || ',"blobs":' || blobs || '}'`
const LINEAGE = `ordinal || char(9) || object_id || char(9) || char(9) || '{}' || char(9) || ${SOURCE}`

type Values = RowRange & { readonly limit: number }

export function partitionRowReader(db: Db) {
  const each = <T>(make: (rows: string) => T) => {
    const of = ({ ordinal, from }: (typeof SOURCES)[Kind]) =>
      make(
        `SELECT ${ordinal} AS ordinal, o.seq, o.object_id, o.bucket_id, o.key_prefix, o.fields, o.blobs, o.updated_at ${from}`,
      )
    return { members: of(SOURCES.members), arrived: of(SOURCES.arrived), retry: of(SOURCES.retry) }
  }
  const lines = each((rows) =>
    db.prepare<Values, RowLines>(
      `SELECT count(*) AS rows, max(ordinal) AS last_ordinal, max(seq) AS last_seq,
         CAST(coalesce(group_concat(${LINE} || char(10), ''), '') AS BLOB) AS input,
         CAST(coalesce(group_concat(${LINEAGE} || char(10), ''), '') AS BLOB) AS lineage
       FROM (${rows})`,
    ),
  )
  const objects = each((rows) =>
    db.prepare<Values, RowObject>(
      `SELECT ordinal, seq, object_id, bucket_id, fields, blobs, updated_at, ${LINE} AS line, ${SOURCE} AS source FROM (${rows})`,
    ),
  )
  const byId = db.prepare<{ bucketId: string; objectIds: string }, Omit<RowObject, "ordinal" | "line" | "source">>(
    `SELECT o.seq, o.object_id, o.bucket_id, o.fields, o.blobs, o.updated_at
     FROM json_each(@objectIds) j CROSS JOIN objects o ON o.object_id = j.value AND o.bucket_id = @bucketId`,
  )
  const kindOf = ({ retry, after_seq: after }: RowRange): Kind =>
    retry > 0 ? "retry" : after === null ? "members" : "arrived"
  return {
    /** The first `limit` objects of a range, in order. */
    lines: (range: RowRange, limit: number): RowLines =>
      lines[kindOf(range)].get({ ...range, limit }) ?? {
        rows: 0,
        last_ordinal: 0,
        last_seq: 0,
        input: NONE,
        lineage: NONE,
      },
    objects: (range: RowRange, limit: number): RowObject[] => objects[kindOf(range)].all({ ...range, limit }),
    /** Those of these objects that are there. */
    byId: (bucketId: string, objectIds: readonly string[]) =>
      byId.all({ bucketId, objectIds: JSON.stringify(objectIds) }),
  }
}

const NONE = new Uint8Array()
