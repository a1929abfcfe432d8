import { createRoute, z } from "@hono/zod-openapi"
import type { Context } from "hono"
import type { Batches } from "../../batches/batches.ts"
import type { BatchEvents } from "../../batches/events.ts"
import {
  AddObjects,
  BatchLogs,
  BatchLogsQuery,
  BatchModel,
  BatchRemoved,
  CreateBatch,
  FailedDocuments,
  FailedDocumentsQuery,
  ListBatches,
  ListBatchesResponse,
  RetriedBatch,
  RetryBatch,
  SubmitBatch,
  TriggerBatch,
  UpdateBatch,
} from "../../contract/batches.ts"
import { FlagQuery } from "../../contract/pagination.ts"
import { TaskModel } from "../../contract/tasks.ts"
import type { Idempotency } from "../../organizations/idempotency.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { App, HttpEnv } from "../app.ts"
import { eventStream } from "../event-stream.ts"
import { createOnce, ERRORS, json, jsonRequest, NamespacedCreate, NamespaceHeader, namespaceOf } from "../route.ts"

interface Deps {
  batches: Batches
  batchEvents: BatchEvents
  namespaces: Namespaces
  idempotency: Idempotency
}

const tags = ["Batches"]
const headers = NamespaceHeader
const BucketParams = z.object({ bucket_identifier: z.string().min(1).max(128) })
const BatchParams = BucketParams.extend({ batch_id: z.string().min(1).max(128) })
const path = "/v1/buckets/{bucket_identifier}/batches"
const found = { 200: { description: "The batch", content: json(BatchModel) }, ...ERRORS }
const tasked = { 200: { description: "The batch's task", content: json(TaskModel) }, ...ERRORS }
const Validation = z.object({ skip_validation: FlagQuery.optional() })
/** The SDK offers these beside the body's fields of the same names. */
const CreateQuery = Validation.extend({ auto_submit: FlagQuery.optional(), trigger_processing: FlagQuery.optional() })

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Create a batch as a draft, of named objects or by filter",
  request: { headers: NamespacedCreate, params: BucketParams, query: CreateQuery, body: jsonRequest(CreateBatch) },
  responses: found,
})
const trigger = createRoute({
  method: "post",
  path: `${path}/trigger`,
  tags,
  summary: "Create and submit a batch over the bucket's objects",
  request: { headers: NamespacedCreate, params: BucketParams, body: jsonRequest(TriggerBatch) },
  responses: found,
})
const list = createRoute({
  method: "post",
  path: `${path}/list`,
  tags,
  summary: "List a bucket's batches, newest first",
  request: { headers, params: BucketParams, body: jsonRequest(ListBatches) },
  responses: { 200: { description: "Batches", content: json(ListBatchesResponse) }, ...ERRORS },
})
const addObjects = createRoute({
  method: "post",
  path: `${path}/{batch_id}/objects`,
  tags,
  summary: "Add objects to a draft",
  request: { headers, params: BatchParams, query: Validation, body: jsonRequest(AddObjects) },
  responses: found,
})
const submit = createRoute({
  method: "post",
  path: `${path}/{batch_id}/submit`,
  tags,
  summary: "Submit a batch; again gives the same task",
  request: { headers, params: BatchParams, body: jsonRequest(SubmitBatch) },
  responses: tasked,
})
const cancel = createRoute({
  method: "post",
  path: `${path}/{batch_id}/cancel`,
  tags,
  summary: "Cancel a batch; what is committed stays",
  request: { headers, params: BatchParams },
  responses: tasked,
})
const pause = createRoute({
  method: "post",
  path: `${path}/{batch_id}/pause`,
  tags,
  summary: "Pause a batch; nothing of it runs until it is resumed",
  request: { headers, params: BatchParams },
  responses: found,
})
const resume = createRoute({
  method: "post",
  path: `${path}/{batch_id}/resume`,
  tags,
  summary: "Let a paused or held batch go on",
  request: { headers, params: BatchParams },
  responses: found,
})
const retry = createRoute({
  method: "post",
  path: `${path}/{batch_id}/retry`,
  tags,
  summary: "Run the failed rows of a batch that has ended again, in the code that its collections name now",
  request: { headers, params: BatchParams, body: jsonRequest(RetryBatch) },
  responses: { 200: { description: "What runs again", content: json(RetriedBatch) }, ...ERRORS },
})
const get = createRoute({
  method: "get",
  path: `${path}/{batch_id}`,
  tags,
  summary: "Get a batch with its progress",
  request: { headers, params: BatchParams },
  responses: found,
})
const update = createRoute({
  method: "patch",
  path: `${path}/{batch_id}`,
  tags,
  summary: "Change a batch's name, metadata, priority or max_concurrency",
  request: { headers, params: BatchParams, body: jsonRequest(UpdateBatch) },
  responses: found,
})
const remove = createRoute({
  method: "delete",
  path: `${path}/{batch_id}`,
  tags,
  summary: "Delete a batch that has ended; its documents stay",
  request: { headers, params: BatchParams },
  responses: { 200: { description: "Deleted", content: json(BatchRemoved) }, ...ERRORS },
})
const logs = createRoute({
  method: "get",
  path: `${path}/{batch_id}/logs`,
  tags,
  summary: "What the batch's workers printed, oldest first",
  request: { headers, params: BatchParams, query: BatchLogsQuery },
  responses: { 200: { description: "The newest lines", content: json(BatchLogs) }, ...ERRORS },
})
const events = createRoute({
  method: "get",
  path: `${path}/{batch_id}/events`,
  tags,
  summary: "Follow a batch by server-sent events: progress as it changes, then end",
  request: {
    headers: NamespaceHeader.extend({ "last-event-id": z.string().max(1000).optional() }),
    params: BatchParams,
  },
  responses: {
    200: {
      description: "Events `progress` and, at last, `end`; the data of each is a BatchEvent",
      content: { "text/event-stream": { schema: z.string() } },
    },
    ...ERRORS,
  },
})
const IdParams = z.object({ batch_id: z.string().min(1).max(128) })
const getById = createRoute({
  method: "get",
  path: "/v1/batches/{batch_id}",
  tags,
  summary: "Get a batch; without X-Namespace of any namespace that the key sees",
  request: { headers, params: IdParams },
  responses: found,
})
const listAll = createRoute({
  method: "post",
  path: "/v1/batches/list",
  tags,
  summary: "List batches, newest first; without X-Namespace of all namespaces that the key sees",
  request: { headers, body: jsonRequest(ListBatches) },
  responses: { 200: { description: "Batches", content: json(ListBatchesResponse) }, ...ERRORS },
})
const cancelById = createRoute({
  method: "post",
  path: "/v1/batches/{batch_id}/cancel",
  tags,
  summary: "Cancel a batch; without X-Namespace of any namespace that the key sees",
  request: { headers, params: IdParams },
  responses: tasked,
})
const failedDocuments = createRoute({
  method: "get",
  path: `${path}/{batch_id}/failed-documents`,
  tags,
  summary: "Rows that failed, with their tracebacks and what the plugin was given",
  request: { headers, params: BatchParams, query: FailedDocumentsQuery },
  responses: { 200: { description: "Row errors", content: json(FailedDocuments) }, ...ERRORS },
})

export function batchRoutes(app: App, { batches, batchEvents, namespaces, idempotency }: Deps): void {
  app.openapi(trigger, async (c) => {
    const namespace = namespaceOf(c, namespaces)
    const bucket = c.req.valid("param").bucket_identifier
    const request = c.req.valid("json")
    return c.json(
      await createOnce(c, idempotency, namespace, 200, (remember) =>
        batches.trigger(namespace, bucket, request, remember),
      ),
      200,
    )
  })
  app.openapi(list, (c) =>
    c.json(batches.list(namespaceOf(c, namespaces), c.req.valid("param").bucket_identifier, c.req.valid("json")), 200),
  )
  app.openapi(create, async (c) => {
    const namespace = namespaceOf(c, namespaces)
    const bucket = c.req.valid("param").bucket_identifier
    const body = c.req.valid("json")
    const { skip_validation: skip = false, auto_submit: submit, trigger_processing: process } = c.req.valid("query")
    const request = submit === true || process === true ? { ...body, auto_submit: true } : body
    const answer = await createOnce(c, idempotency, namespace, 200, (remember) =>
      batches.create(namespace, bucket, request, skip, remember),
    )
    return c.json(answer, 200)
  })
  app.openapi(addObjects, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    const skip = c.req.valid("query").skip_validation ?? false
    return c.json(batches.addObjects(namespaceOf(c, namespaces), bucket, id, c.req.valid("json").object_ids, skip), 200)
  })
  app.openapi(submit, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.submit(namespaceOf(c, namespaces), bucket, id, c.req.valid("json")), 200)
  })
  app.openapi(cancel, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.cancel(namespaceOf(c, namespaces), bucket, id), 200)
  })
  app.openapi(pause, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.pause(namespaceOf(c, namespaces), bucket, id), 200)
  })
  app.openapi(resume, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.resume(namespaceOf(c, namespaces), bucket, id), 200)
  })
  app.openapi(retry, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.retry(namespaceOf(c, namespaces), bucket, id, c.req.valid("json")), 200)
  })
  app.openapi(failedDocuments, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.failedDocuments(namespaceOf(c, namespaces), bucket, id, c.req.valid("query")), 200)
  })
  app.openapi(logs, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.logs(namespaceOf(c, namespaces), bucket, id, c.req.valid("query")), 200)
  })
  app.openapi(events, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    const namespace = namespaceOf(c, namespaces)
    batches.get(namespace, bucket, id)
    return eventStream(c, (signal) => batchEvents.follow(namespace.namespaceId, id, signal))
  })
  // The public SDK sends no X-Namespace here: then they go over all that the key sees.
  const within = (c: Context<HttpEnv>) =>
    c.req.header("x-namespace") ? [namespaceOf(c, namespaces)] : namespaces.seen(c.get("caller"))
  app.openapi(listAll, (c) => c.json(batches.listAll(within(c), c.req.valid("json")), 200))
  app.openapi(getById, (c) => {
    const { batch_id: id } = c.req.valid("param")
    return c.json(batches.get(batches.holder(within(c), id), null, id), 200)
  })
  app.openapi(cancelById, (c) => {
    const { batch_id: id } = c.req.valid("param")
    return c.json(batches.cancel(batches.holder(within(c), id), null, id), 200)
  })
  app.openapi(get, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.get(namespaceOf(c, namespaces), bucket, id), 200)
  })
  app.openapi(update, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    return c.json(batches.update(namespaceOf(c, namespaces), bucket, id, c.req.valid("json")), 200)
  })
  app.openapi(remove, (c) => {
    const { bucket_identifier: bucket, batch_id: id } = c.req.valid("param")
    batches.remove(namespaceOf(c, namespaces), bucket, id)
    return c.json({ success: true as const, message: `Batch '${id}' is gone; its documents stay.` }, 200)
  })
}
