/** Our key with their ids: in the path, in the X-Namespace header and in the body. */
import { expect, test } from "bun:test"
import { changed, type Entry, expectRefused, invalid, notFound, type Refusal, send } from "./entry.ts"
import { collectionBody, type Fixtures, fresh, type Side } from "./fixtures.ts"
import { TABLE } from "./table.ts"

/** What is theirs, by the name of the parameter that takes it. */
const THEIRS: Readonly<Record<string, (theirs: Side) => string>> = {
  namespace_identifier: (theirs) => theirs.namespaceId,
  namespace_id: (theirs) => theirs.namespaceId,
  bucket_identifier: (theirs) => theirs.bucketId,
  "bucket_identifier by name": (theirs) => theirs.bucketName,
  object_identifier: (theirs) => theirs.objectId,
  upload_id: (theirs) => theirs.uploadId,
  "upload_id of a plugin": (theirs) => theirs.pluginUploadId,
  batch_id: (theirs) => theirs.batchId,
  collection_identifier: (theirs) => theirs.collectionId,
  "collection_identifier by name": (theirs) => theirs.collectionName,
  document_id: (theirs) => theirs.documentId,
  plugin_id: (theirs) => theirs.pluginId,
  extractor_id: (theirs) => theirs.pluginId,
  task_id: (theirs) => theirs.taskId,
  key_name: (theirs) => theirs.keyName,
  deployment_name: (theirs) => `custom_plugin_${theirs.namespaceId}_${theirs.pluginId}`,
  feature_extractor_name: (theirs) => theirs.pluginName,
}
/** An e-mail address is nobody's; what every namespace has is everybody's. */
const NOT_OWNED = ["user_email", "feature_extractor_id"]

const owned = TABLE.filter((entry) => entry.foreign.is !== "public")
const parametersOf = ({ operation }: Entry) => [...operation.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name)

async function expectHidden(f: Fixtures, entry: Entry, refusal: Refusal): Promise<void> {
  const answer = await send(f, entry, await changed(f, await entry.request(f), refusal.change))
  expectRefused(answer, { ...refusal, what: `${refusal.what} in ${entry.operation}` })
  expect(answer.text).not.toContain(f.theirs.mark)
}

export function foreignIdTests(fixtures: () => Fixtures): void {
  test("every parameter of a path names a thing that is somebody's", () => {
    const known = new Set([...Object.keys(THEIRS), ...NOT_OWNED])
    expect(owned.flatMap(parametersOf).filter((name) => !known.has(name))).toEqual([])
  })

  for (const [what, value] of Object.entries(THEIRS)) {
    const [name = ""] = what.split(" ")
    test(`our key with their ${what} gets 404 on every route that takes one`, async () => {
      const f = fixtures()
      const entries = owned.filter((entry) => parametersOf(entry).includes(name))
      expect(entries.length).toBeGreaterThan(0)
      for (const entry of entries) {
        await expectHidden(f, entry, notFound(what, { path: { [name]: value(f.theirs) } }))
      }
    })
  }

  test("our key with their X-Namespace gets 404 on every route that works in a namespace", async () => {
    const f = fixtures()
    const entries = owned.filter(({ operation }) => /^[A-Z]+ \/v1\/(buckets|collections)\b/.test(operation))
    for (const entry of entries) {
      await expectHidden(f, entry, notFound("their namespace", { namespace: f.theirs.namespaceId }))
    }
  })

  const inBodies: readonly [operation: string, Refusal][] = [
    [
      "POST /v1/buckets/{bucket_identifier}/batches",
      notFound("their object", ({ theirs }) => ({ body: { object_ids: [theirs.objectId] } })),
    ],
    [
      "POST /v1/buckets/{bucket_identifier}/batches",
      notFound("their collection", ({ theirs }) => ({ body: { collection_ids: [theirs.collectionId] } })),
    ],
    [
      "POST /v1/buckets/{bucket_identifier}/batches/{batch_id}/objects",
      notFound("their object", ({ theirs }) => ({ body: { object_ids: [theirs.objectId] } })),
    ],
    [
      "POST /v1/buckets/{bucket_identifier}/batches/{batch_id}/submit",
      notFound("their collection", ({ theirs }) => ({ body: { collection_ids: [theirs.collectionId] } })),
    ],
    [
      "POST /v1/buckets/{bucket_identifier}/batches/trigger",
      notFound("their collection", ({ theirs }) => ({ body: { collection_ids: [theirs.collectionId] } })),
    ],
    [
      "POST /v1/collections/{collection_identifier}/trigger",
      notFound("their bucket", ({ theirs }) => ({ body: { include_buckets: [theirs.bucketId] } })),
    ],
    [
      "POST /v1/collections/{collection_identifier}/trigger",
      notFound("their object", ({ theirs }) => ({ body: { object_ids: [theirs.objectId] } })),
    ],
    [
      "POST /v1/collections",
      notFound("their bucket", ({ ours, theirs }) => ({
        body: collectionBody({ ...ours, bucketId: theirs.bucketId }, fresh("collection")),
      })),
    ],
    [
      "POST /v1/collections",
      notFound("their plugin", ({ ours, theirs }) => ({
        body: collectionBody({ ...ours, pluginName: theirs.pluginName }, fresh("collection")),
      })),
    ],
    [
      "POST /v1/buckets/{bucket_identifier}/objects",
      // A blob is judged with its object: what it names wrongly is a fault of the body.
      invalid("their upload", ({ theirs }) => ({
        body: { blobs: [{ property: "file", type: "image", upload_id: theirs.uploadId }] },
      })),
    ],
  ]
  test("our key with their ids in the body is refused as if there were no such thing", async () => {
    const f = fixtures()
    for (const [operation, refusal] of inBodies) {
      const entry = TABLE.find((candidate) => candidate.operation === operation)
      expect(entry?.operation).toBe(operation)
      if (entry !== undefined) await expectHidden(f, entry, refusal)
    }
  })

  test("after all that their things are as they were", async () => {
    const { theirs } = fixtures()
    const bucket = `/v1/buckets/${theirs.bucketId}`
    for (const path of [
      `/v1/namespaces/${theirs.namespaceId}`,
      `/v1/namespaces/${theirs.namespaceId}/plugins/${theirs.pluginId}`,
      `${bucket}/objects/${theirs.objectId}`,
      `/v1/collections/${theirs.collectionId}/documents/${theirs.documentId}`,
    ]) {
      await theirs.make("GET", path)
    }
    expect((await theirs.make("GET", bucket)).body).toMatchObject({ object_count: 2, description: theirs.mark })
    expect((await theirs.make("GET", `${bucket}/uploads/${theirs.uploadId}`)).body.status).toBe("PENDING")
    expect((await theirs.make("GET", `${bucket}/batches/${theirs.batchId}`)).body.status).toBe("COMPLETED")
    expect((await theirs.make("GET", `/v1/tasks/${theirs.taskId}`)).body.status).toBe("COMPLETED")
    const keys = await theirs.make("GET", `/v1/organizations/users/${theirs.email}/api-keys`)
    expect(keys.body.results).toMatchObject([{ name: theirs.keyName, status: "active", description: theirs.mark }])
  })
}
