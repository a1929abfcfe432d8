/**
 * The objects of a partition as text that SQLite puts together: a line for the worker and one for the lineage, some
 * thousand rows in one value. A row that became JavaScript on the way would cost ten times as much.
 */
import type { Db } from "./open.ts"
import type { PartitionRow } from "./partitions.ts"
import type { BlobColumns } from "./stored-blobs.ts"

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
export interface RowObject extends BlobColumns {
  readonly ordinal: number
  readonly seq: number
  readonly object_id: string
  readonly bucket_id: string
  readonly fields: string
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
interface Source {
  readonly ordinal: string
  readonly from: string
}

/** What a document keeps of its sources. */
const SOURCE = `'{"bucket_id":"' || bucket_id || '","key_prefix":' || json_quote(key_prefix) || ',"blobs":' || blobs || '}'`
/** Ordinal, object and three columns of JSON, in which there is no tab: read by plugin_worker/object_rows.py. */
const LINE = `ordinal || char(9) || object_id || char(9) || fields || char(9) || blob_kinds || char(9) || blob_values`
const LINEAGE = `ordinal || char(9) || object_id || char(9) || char(9) || '{}' || char(9) || ${SOURCE}`
const COLUMNS = `o.seq, o.object_id, o.bucket_id, o.key_prefix, o.fields, o.blobs, o.blob_kinds, o.blob_values, o.blob_rest, o.updated_at`

type Values = RowRange & { readonly limit: number }

export function partitionRowReader(db: Db) {
  let nextOrdinal = 0
  // row_number() keeps a copy of each row, 0.7 us. It counts right where rows are computed once and in order: the index gives the
  // order without a sorter, and no subquery with a LIMIT is merged into an aggregate.
  db.function("next_ordinal", { directOnly: true }, () => BigInt(nextOrdinal++))
  const each = <T>(make: (rows: string) => T, arrived: Source = SOURCES.arrived) => {
    const of = ({ ordinal, from }: Source) => make(`SELECT ${ordinal} AS ordinal, ${COLUMNS} ${from}`)
    return { members: of(SOURCES.members), arrived: of(arrived), retry: of(SOURCES.retry) }
  }
  const counted = {
    ordinal: "next_ordinal()",
    from: SOURCES.arrived.from.replace("objects o", "objects o INDEXED BY objects_bucket"),
  }
  const lines = each(
    (rows) =>
      db.prepare<Values, RowLines>(
        `SELECT count(*) AS rows, max(ordinal) AS last_ordinal, max(seq) AS last_seq,
         CAST(coalesce(group_concat(${LINE} || char(10), ''), '') AS BLOB) AS input,
         CAST(coalesce(group_concat(${LINEAGE} || char(10), ''), '') AS BLOB) AS lineage
       FROM (${rows})`,
      ),
    counted,
  )
  const objects = each((rows) =>
    db.prepare<Values, RowObject>(
      `SELECT ordinal, seq, object_id, bucket_id, fields, blobs, blob_kinds, blob_values, blob_rest, updated_at, ${LINE} AS line, ${SOURCE} AS source FROM (${rows})`,
    ),
  )
  const byId = db.prepare<{ bucketId: string; objectIds: string }, Omit<RowObject, "ordinal" | "line" | "source">>(
    `SELECT ${COLUMNS}
     FROM json_each(@objectIds) j CROSS JOIN objects o ON o.object_id = j.value AND o.bucket_id = @bucketId`,
  )
  const kindOf = ({ retry, after_seq: after }: RowRange): Kind =>
    retry > 0 ? "retry" : after === null ? "members" : "arrived"
  return {
    /** The first `limit` objects of a range, in order. */
    lines(range: RowRange, limit: number): RowLines {
      nextOrdinal = range.first_ordinal
      const none = { rows: 0, last_ordinal: 0, last_seq: 0, input: NONE, lineage: NONE }
      return lines[kindOf(range)].get({ ...range, limit }) ?? none
    },
    objects: (range: RowRange, limit: number): RowObject[] => objects[kindOf(range)].all({ ...range, limit }),
    /** Those of these objects that are there. */
    byId: (bucketId: string, objectIds: readonly string[]) =>
      byId.all({ bucketId, objectIds: JSON.stringify(objectIds) }),
  }
}

const NONE = new Uint8Array()
