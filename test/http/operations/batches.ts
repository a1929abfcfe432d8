import { expect } from "bun:test"
import { badRequest, type Entry, HIDDEN, invalid, LONG, notFound, OWN } from "./entry.ts"
import { batchEnd, type Fixtures, freshDraft, freshObject } from "./fixtures.ts"

const path = "/v1/buckets/{bucket_identifier}/batches"
const one = `${path}/{batch_id}`
const inOurs = ({ ours }: Fixtures) => ({ path: { bucket_identifier: ours.bucketId } })
const ofOurs = ({ ours }: Fixtures) => ({ path: { bucket_identifier: ours.bucketId, batch_id: ours.batchId } })
const ofDraft = async (f: Fixtures) => ({ path: { bucket_identifier: f.ours.bucketId, batch_id: await freshDraft(f) } })
const ofEnded = async (f: Fixtures) => {
  const call = await ofDraft(f)
  await f.ours.make("POST", `/v1/buckets/${f.ours.bucketId}/batches/${call.path.batch_id}/cancel`)
  await batchEnd(f.ours.make, f.ours.bucketId, call.path.batch_id)
  return call
}
/** A batch of one row may end before it can be paused: then another. */
const ofSuspended = async (f: Fixtures) => {
  const { key, namespaceId: namespace, bucketId, make } = f.ours
  for (let tries = 0; tries < 20; tries++) {
    const call = await ofDraft(f)
    const address = `/v1/buckets/${bucketId}/batches/${call.path.batch_id}`
    await make("POST", `${address}/submit`)
    if ((await f.appliance.call("POST", `${address}/pause`, { key, namespace })).status === 200) return call
  }
  throw new Error("every batch ended before it was paused")
}
const unknownBucket = notFound("an unknown bucket", { path: { bucket_identifier: "bkt_unknown" } })
const unknownBatch = notFound("an unknown batch", { path: { batch_id: "btch_unknown" } })
const unknownObject = notFound("an unknown object", { body: { object_ids: ["obj_unknown"] } })
const longBatch = invalid("an over-long id", { path: { batch_id: LONG } })
const ended = ({ ours }: Fixtures) => ({ path: { batch_id: ours.batchId } })
const model = ({ ours }: Fixtures) => ({
  batch_id: expect.stringMatching(/^btch_/),
  bucket_id: ours.bucketId,
  status: expect.any(String),
  max_node_death_resubmits: expect.any(Number),
  max_deploy_resubmits: expect.any(Number),
  total_tiers: 1,
})
const task = () => ({
  task_id: expect.any(String),
  task_type: "api_buckets_batches_process",
  status: expect.any(String),
})

export const batches: readonly Entry[] = [
  {
    operation: `POST ${path}`,
    request: (f) => ({ ...inOurs(f), body: { object_ids: [f.ours.objectId], batch_name: f.ours.mark } }),
    answers: {
      what: "the batch as DRAFT",
      body: (f) => ({ ...model(f), status: "DRAFT", object_ids: [f.ours.objectId], batch_name: f.ours.mark }),
    },
    refuses: [
      unknownBucket,
      unknownObject,
      notFound("an unknown collection", { body: { collection_ids: ["col_unknown"] } }),
      invalid("object ids that are no list", { body: { object_ids: "obj_a" } }),
      invalid("a flag that is none", { query: "skip_validation=perhaps" }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${path}/trigger`,
    request: (f) => ({ ...inOurs(f), body: { object_ids: [f.ours.objectId], collection_ids: [f.ours.collectionId] } }),
    answers: { what: "a batch under way", body: (f) => ({ ...model(f), task_id: expect.any(String) }) },
    refuses: [
      unknownBucket,
      unknownObject,
      notFound("an unknown collection", { body: { collection_ids: ["col_unknown"] } }),
      invalid("a limit of 0", { body: { limit: 0 } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${path}/list`,
    request: (f) => ({ ...inOurs(f), body: { status: "COMPLETED", limit: 1000 } }),
    answers: {
      what: "the batches of that status",
      body: ({ ours }) => ({
        results: expect.arrayContaining([expect.objectContaining({ batch_id: ours.batchId, status: "COMPLETED" })]),
        total_count: expect.any(Number),
      }),
    },
    refuses: [unknownBucket, invalid("a status with two L", { body: { status: "CANCELLED" } })],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${one}/objects`,
    request: async (f) => ({ ...(await ofDraft(f)), body: { object_ids: [await freshObject(f)] } }),
    answers: {
      what: "the draft with one more object",
      body: (f) => ({ ...model(f), status: "DRAFT", object_count: 2 }),
    },
    refuses: [
      unknownBucket,
      unknownBatch,
      unknownObject,
      invalid("no object", { body: { object_ids: [] } }),
      badRequest("a batch that has ended", ended),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${one}/submit`,
    request: async (f) => ({ ...(await ofDraft(f)), body: { include_processing_history: true } }),
    answers: { what: "the batch's task", body: task },
    refuses: [
      unknownBucket,
      unknownBatch,
      notFound("an unknown collection", { body: { collection_ids: ["col_unknown"] } }),
      badRequest("a batch without objects", async ({ ours }) => {
        const { body } = await ours.make("POST", `/v1/buckets/${ours.bucketId}/batches`, {})
        return { path: { batch_id: body.batch_id } }
      }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${one}/cancel`,
    request: ofDraft,
    answers: {
      what: "the task, and the batch is CANCELED",
      body: task,
      check: async (_, { ours }, call) => {
        const { body } = await ours.make("GET", `/v1/buckets/${ours.bucketId}/batches/${call.path?.batch_id}`)
        expect(body.status).toBe("CANCELED")
      },
    },
    refuses: [unknownBucket, unknownBatch, longBatch],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `POST ${one}/pause`,
    request: ofSuspended,
    answers: {
      what: "the batch as SUSPENDED",
      body: (f) => ({ ...model(f), status: "SUSPENDED", lifecycle_reason: "paused" }),
    },
    refuses: [unknownBucket, unknownBatch, longBatch, badRequest("a batch that has ended", ended)],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `POST ${one}/resume`,
    request: ofSuspended,
    answers: { what: "the batch where it was", body: (f) => ({ ...model(f), lifecycle_reason: null }) },
    refuses: [unknownBucket, unknownBatch, longBatch, badRequest("a batch that has ended", ended)],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `GET ${one}/failed-documents`,
    request: (f) => ({ ...ofOurs(f), query: "limit=10&offset=0" }),
    answers: {
      what: "row errors, here none",
      body: ({ ours }) => ({
        batch_id: ours.batchId,
        failed_documents: [],
        total: 0,
        limit: 10,
        offset: 0,
        next_offset: null,
        pagination: {
          total: 0,
          page: 1,
          page_size: 10,
          total_pages: 0,
          next_page: null,
          previous_page: null,
          next_cursor: null,
        },
      }),
    },
    refuses: [
      unknownBucket,
      unknownBatch,
      invalid("a limit over 1000", { query: "limit=1001" }),
      invalid("an error type that is none", { query: "error_type=bad_luck" }),
      invalid("a cursor of another list", { query: "cursor=WzEsMl0" }),
    ],
    foreign: HIDDEN,
    malformed: [longBatch, invalid("a tier that is no number", { query: "tier_num=first" })],
  },
  {
    operation: `POST ${one}/retry`,
    request: (f) => ({ ...ofOurs(f), body: { retry_mode: "all", max_retry_count: 3 } }),
    answers: {
      what: "that no row failed, so that none runs again",
      body: ({ ours }) => ({
        batch_id: ours.batchId,
        task_id: expect.any(String),
        status: "COMPLETED",
        retry_count: 0,
        retried_rows: 0,
        skipped_rows: 0,
        skipped: [],
        runs: [],
        message: expect.any(String),
      }),
    },
    refuses: [
      unknownBucket,
      unknownBatch,
      invalid("an unknown mode", { body: { retry_mode: "some" } }),
      invalid("more retries than 10", { body: { max_retry_count: 11 } }),
      badRequest("a batch that was canceled", async (f) => ({ path: { batch_id: (await ofEnded(f)).path.batch_id } })),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `GET ${one}/logs`,
    request: (f) => ({ ...ofOurs(f), query: "limit=10&tier_num=0" }),
    answers: { what: "lines that its workers printed", body: ({ ours }) => ({ batch_id: ours.batchId, logs: [] }) },
    refuses: [unknownBucket, unknownBatch, invalid("a limit over 1000", { query: "limit=1001" })],
    foreign: HIDDEN,
    malformed: [longBatch, invalid("a tier that is no number", { query: "tier_num=first" })],
  },
  {
    operation: `GET ${one}/events`,
    request: (f) => ({ ...ofOurs(f), headers: { "Last-Event-ID": "7" } }),
    answers: {
      what: "its state and its end, for a batch that has ended",
      check: ({ text, headers }, { ours }) => {
        expect(headers.get("Content-Type")).toContain("text/event-stream")
        expect(text.match(/^event: \w+$/gm)).toEqual(["event: progress", "event: end"])
        expect(text).toContain(`"batch_id":"${ours.batchId}","status":"COMPLETED"`)
      },
    },
    refuses: [unknownBucket, unknownBatch],
    foreign: HIDDEN,
    malformed: [longBatch],
  },
  {
    operation: "GET /v1/batches/{batch_id}",
    request: ({ ours }) => ({ path: { batch_id: ours.batchId } }),
    answers: { what: "the batch", body: (f) => ({ ...model(f), batch_id: f.ours.batchId, status: "COMPLETED" }) },
    refuses: [unknownBatch],
    foreign: HIDDEN,
    malformed: [longBatch],
  },
  {
    operation: "POST /v1/batches/list",
    request: () => ({ body: { status: "COMPLETED", limit: 1000 } }),
    answers: {
      what: "the namespace's batches of that status",
      body: ({ ours }) => ({
        results: expect.arrayContaining([expect.objectContaining({ batch_id: ours.batchId, status: "COMPLETED" })]),
        total_count: expect.any(Number),
      }),
    },
    refuses: [invalid("a status with two L", { body: { status: "CANCELLED" } })],
    foreign: OWN,
    malformed: "json",
  },
  {
    operation: "POST /v1/batches/{batch_id}/cancel",
    request: async (f) => ({ path: { batch_id: await freshDraft(f) } }),
    answers: {
      what: "the task, and the batch is CANCELED",
      body: task,
      check: async (_, { ours }, call) => {
        expect((await ours.make("GET", `/v1/batches/${call.path?.batch_id}`)).body.status).toBe("CANCELED")
      },
    },
    refuses: [unknownBatch, longBatch],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `GET ${one}`,
    request: ofOurs,
    answers: {
      what: "the batch with its progress",
      body: (f) => ({
        ...model(f),
        batch_id: f.ours.batchId,
        status: "COMPLETED",
        progress: { processed: 1, total: 1, percent: 100, errors: 0 },
        tier_tasks: [{ tier_num: 0, source_type: "bucket", collection_ids: [f.ours.collectionId] }],
        documents_written: 1,
      }),
    },
    refuses: [unknownBucket, unknownBatch],
    foreign: HIDDEN,
    malformed: [longBatch],
  },
  {
    operation: `PATCH ${one}`,
    request: async (f) => ({ ...(await ofDraft(f)), body: { batch_name: f.ours.mark, metadata: { note: 1 } } }),
    answers: {
      what: "the changed batch",
      body: (f, call) => ({
        ...model(f),
        batch_id: call.path?.batch_id,
        batch_name: f.ours.mark,
        metadata: { note: 1 },
      }),
    },
    refuses: [unknownBucket, unknownBatch, invalid("an over-long name", { body: { batch_name: LONG } })],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `DELETE ${one}`,
    request: ofEnded,
    answers: {
      what: "success, and the batch is gone",
      body: () => ({ success: true, message: expect.any(String) }),
      check: async (_, { appliance, ours }, call) => {
        const address = `/v1/buckets/${ours.bucketId}/batches/${call.path?.batch_id}`
        expect((await appliance.call("GET", address, { namespace: ours.namespaceId })).status).toBe(404)
      },
    },
    refuses: [unknownBucket, unknownBatch, longBatch],
    foreign: HIDDEN,
    malformed: "none",
  },
]
