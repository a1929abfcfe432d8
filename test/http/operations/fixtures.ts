/** Two organizations in one appliance, each with one of everything, so that either can ask for what is the other's. */
import { expect } from "bun:test"
import { type Answer, type CallOptions, eventually, type TestAppliance } from "../../support/appliance.ts"
import { TERMINAL } from "../../support/batch.ts"
import { textPlugin, upload, zip } from "../../support/plugins.ts"

export interface Side {
  /** Stands in every name, text and description of this side, and nowhere else. */
  readonly mark: string
  readonly key: string
  readonly organizationId: string
  readonly namespaceId: string
  readonly namespaceName: string
  readonly email: string
  readonly keyName: string
  readonly pluginName: string
  readonly pluginId: string
  readonly bucketId: string
  readonly bucketName: string
  readonly objectId: string
  /** Of an object's file. */
  readonly blobSha256: string
  readonly blobUrl: string
  readonly uploadId: string
  readonly pluginUploadId: string
  readonly collectionId: string
  readonly collectionName: string
  readonly batchId: string
  readonly taskId: string
  readonly documentId: string
  /** With this side's key, in its first namespace. Any 4xx or 5xx fails the test that asked. */
  make(method: string, path: string, body?: unknown): Promise<Answer>
}

export interface Fixtures {
  readonly appliance: TestAppliance
  readonly ours: Side
  readonly theirs: Side
  readonly openapi: OpenApi
}

export interface OpenApi {
  readonly paths: Record<string, Record<string, OpenApiOperation>>
  readonly components: { readonly schemas: Record<string, unknown> }
}

export interface OpenApiOperation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: { readonly content: Record<string, unknown> }
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: unknown }> }>
  readonly security?: readonly unknown[]
}

let count = 0
/** A name nobody has yet. */
export const fresh = (stem: string) => `${stem}_${++count}`

export const fileText = (mark: string) => `bytes of a file, ${mark}`
const fileOf = (mark: string) => ({
  base64: Buffer.from(fileText(mark)).toString("base64"),
  mime_type: "image/png",
  filename: "f.png",
})
export const SCHEMA = { properties: { text: { type: "text" }, file: { type: "image" } } }

export async function fixtures(appliance: TestAppliance): Promise<Fixtures> {
  const [ours, theirs] = await Promise.all([
    side(appliance, "ours", appliance.adminKey),
    side(appliance, "theirs", appliance.otherKey),
  ])
  const { body: openapi } = await appliance.call("GET", "/openapi.json", { key: null })
  return { appliance, ours, theirs, openapi }
}

/** One of everything in the namespace that is named, or in the key's first. */
export async function side(appliance: TestAppliance, who: string, key: string, namespace?: string): Promise<Side> {
  const mark = `mark-of-${who}`
  const namespaces = await appliance.call("GET", "/v1/namespaces", { key })
  const found = namespaces.body.results.find(
    (one: { namespace_name: string }) => namespace === undefined || one.namespace_name === namespace,
  )
  const namespaceId: string = found.namespace_id
  const namespaceName: string = found.namespace_name
  const call = (method: string, path: string, options: CallOptions = {}) =>
    appliance.call(method, path, { key, namespace: namespaceId, ...options })
  const make = async (method: string, path: string, body?: unknown) => {
    const answer = await call(method, path, body === undefined ? {} : { body })
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`)
    return answer
  }
  const organization = await make("GET", "/v1/organizations")
  const email = `${who}@example.org`
  const keyName = `key-of-${who}`
  await make("POST", `/v1/organizations/users/${email}/api-keys`, { name: keyName, description: mark })
  const pluginName = `${who}_extractor`
  const plugin = await upload({ ...appliance, call }, textPlugin({ name: pluginName }), {
    name: pluginName,
    namespace: namespaceId,
  })
  if (plugin.status !== 200) throw new Error(plugin.text)
  const reserved = await make("POST", `/v1/namespaces/${namespaceId}/plugins/uploads`, {
    name: `${who}_next`,
    version: "1.0.0",
  })
  const bucketName = `bucket-of-${who}`
  const bucket = await make("POST", "/v1/buckets", {
    bucket_name: bucketName,
    description: mark,
    bucket_schema: SCHEMA,
  })
  const bucketId: string = bucket.body.bucket_id
  const object = await make("POST", `/v1/buckets/${bucketId}/objects`, objectBody(mark))
  const file = await make("POST", `/v1/buckets/${bucketId}/objects`, {
    blobs: [{ property: "file", type: "image", data: fileOf(mark) }],
  })
  const withUrl = await make("GET", `/v1/buckets/${bucketId}/objects/${file.body.object_id}?return_presigned_urls=true`)
  const pending = await make("POST", `/v1/buckets/${bucketId}/uploads`, uploadBody(mark))
  const collectionName = `collection-of-${who}`
  const collection = await make("POST", "/v1/collections", collectionBody({ bucketId, pluginName }, collectionName))
  const batch = await make("POST", `/v1/buckets/${bucketId}/batches`, {
    object_ids: [object.body.object_id],
    auto_submit: true,
    metadata: { note: mark },
  })
  await batchEnd(make, bucketId, batch.body.batch_id)
  const documents = await make("POST", `/v1/collections/${collection.body.collection_id}/documents/list`)
  return {
    mark,
    key,
    organizationId: organization.body.organization_id,
    namespaceId,
    namespaceName,
    email,
    keyName,
    pluginName,
    pluginId: plugin.body.plugin_id,
    bucketId,
    bucketName,
    objectId: object.body.object_id,
    blobSha256: withUrl.body.blobs[0].details.hash,
    blobUrl: withUrl.body.blobs[0].properties.presigned_url,
    uploadId: pending.body.upload_id,
    pluginUploadId: reserved.body.upload_id,
    collectionId: collection.body.collection_id,
    collectionName,
    batchId: batch.body.batch_id,
    taskId: batch.body.task_id,
    documentId: documents.body.results[0].document_id,
    make,
  }
}

export const objectBody = (text: string) => ({ blobs: [{ property: "text", type: "text", data: text }] })

export const uploadBody = (mark: string) => ({
  filename: `${mark}.png`,
  content_type: "image/png",
  blob_property: "file",
})

export const collectionBody = (of: { bucketId: string; pluginName: string }, name: string) => ({
  collection_name: name,
  source: { type: "bucket", bucket_ids: [of.bucketId] },
  feature_extractor: {
    feature_extractor_name: of.pluginName,
    version: "1.0.0",
    input_mappings: { text: "text" },
    parameters: { threshold: 0.5 },
  },
})

export async function batchEnd(make: Side["make"], bucketId: string, batchId: string): Promise<void> {
  await eventually(async () => {
    const { body } = await make("GET", `/v1/buckets/${bucketId}/batches/${batchId}`)
    return TERMINAL.includes(body.status)
  })
}

/** Things to use up. */
export const freshBucket = async ({ ours }: Fixtures): Promise<string> =>
  (await ours.make("POST", "/v1/buckets", { bucket_name: fresh("bucket"), bucket_schema: SCHEMA })).body.bucket_id

export const freshObject = async ({ ours }: Fixtures): Promise<string> =>
  (await ours.make("POST", `/v1/buckets/${ours.bucketId}/objects`, objectBody(fresh("text")))).body.object_id

export const freshCollection = async ({ ours }: Fixtures): Promise<string> =>
  (await ours.make("POST", "/v1/collections", { ...collectionBody(ours, fresh("collection")), enabled: false })).body
    .collection_id

/** At version 1.1.0 of its extractor, with a document of 1.0.0. */
export const freshMovedCollection = async ({ appliance, ours }: Fixtures): Promise<string> => {
  const pluginName = "moving_extractor"
  const call: TestAppliance["call"] = (method, path, options) =>
    appliance.call(method, path, options?.key === undefined ? { ...options, key: ours.key } : options)
  for (const version of ["1.0.0", "1.1.0"]) {
    const id = `${pluginName}_${version.replaceAll(".", "_")}`
    if ((await call("GET", `/v1/namespaces/${ours.namespaceId}/plugins/${id}`)).status === 200) continue
    const options = { name: pluginName, version }
    const uploaded = await upload({ ...appliance, call }, textPlugin(options), {
      ...options,
      namespace: ours.namespaceId,
    })
    expect(uploaded.status).toBe(200)
  }
  const { body } = await ours.make(
    "POST",
    "/v1/collections",
    collectionBody({ ...ours, pluginName }, fresh("collection")),
  )
  const path = `/v1/collections/${body.collection_id}`
  const batch = await ours.make("POST", `${path}/trigger`, { object_ids: [ours.objectId] })
  await batchEnd(ours.make, ours.bucketId, batch.body.batch_id)
  await ours.make("PATCH", path, { feature_extractor: { version: "1.1.0" }, enabled: false })
  return body.collection_id
}

export const freshDraft = async ({ ours }: Fixtures): Promise<string> =>
  (await ours.make("POST", `/v1/buckets/${ours.bucketId}/batches`, { object_ids: [ours.objectId] })).body.batch_id

export const freshTask = async (f: Fixtures): Promise<string> => {
  const batchId = await freshDraft(f)
  return (await f.ours.make("POST", `/v1/buckets/${f.ours.bucketId}/batches/${batchId}/submit`)).body.task_id
}

export const freshNamespace = async ({ ours }: Fixtures): Promise<string> =>
  (await ours.make("POST", "/v1/namespaces", { namespace_name: fresh("namespace") })).body.namespace_id

export const freshKey = async ({ ours }: Fixtures): Promise<string> =>
  (await ours.make("POST", `/v1/organizations/users/${ours.email}/api-keys`, { name: fresh("key") })).body.name

/** An upload whose bytes have come. */
export const freshUpload = async ({ appliance, ours }: Fixtures): Promise<string> => {
  const reserved = await ours.make("POST", `/v1/buckets/${ours.bucketId}/uploads`, uploadBody(fresh("upload")))
  const raw = `bytes of ${reserved.body.upload_id}`
  expect((await appliance.call("PUT", reserved.body.presigned_url, { key: null, raw })).status).toBe(200)
  return reserved.body.upload_id
}

/** A plugin upload whose archive has come. */
export const freshPluginUpload = async ({ appliance, ours }: Fixtures): Promise<string> => {
  const name = fresh("plugin")
  const path = `/v1/namespaces/${ours.namespaceId}/plugins/uploads`
  const reserved = await ours.make("POST", path, { name, version: "1.0.0" })
  const raw = await zip(textPlugin({ name }))
  expect((await appliance.call("PUT", reserved.body.presigned_url, { key: null, raw })).status).toBe(200)
  return reserved.body.upload_id
}

export const freshPlugin = async (f: Fixtures): Promise<string> => {
  const path = `/v1/namespaces/${f.ours.namespaceId}/plugins/uploads/${await freshPluginUpload(f)}/confirm`
  return (await f.ours.make("POST", path)).body.plugin_id
}
