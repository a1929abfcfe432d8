/** Where a request can name a thing, and what of the victim's can be named there. */
import type { OpenApi, Side } from "../http/operations/fixtures.ts"

type Values = (victim: Side, path: string) => readonly string[]

/** By the parameter of a path: ids, and names where they are taken too. */
export const IN_PATH: Readonly<Record<string, Values>> = {
  namespace_identifier: (victim) => [victim.namespaceId, victim.namespaceName],
  namespace_id: (victim) => [victim.namespaceId, victim.namespaceName],
  bucket_identifier: (victim) => [victim.bucketId, victim.bucketName],
  bucket_id: (victim) => [victim.bucketId],
  object_identifier: (victim) => [victim.objectId],
  upload_id: (victim) => [victim.uploadId, victim.pluginUploadId],
  batch_id: (victim) => [victim.batchId],
  collection_identifier: (victim) => [victim.collectionId, victim.collectionName],
  document_id: (victim) => [victim.documentId],
  plugin_id: (victim) => [victim.pluginId],
  extractor_id: (victim) => [victim.pluginId, victim.pluginName],
  feature_extractor_id: (victim) => [victim.pluginId, victim.pluginName],
  task_id: (victim) => [victim.taskId],
  deployment_name: (victim) => [`custom_plugin_${victim.namespaceId}_${victim.pluginId}`],
  feature_extractor_name: (victim) => [victim.pluginName],
  user_email: (victim) => [victim.email],
  key_name: (victim) => [victim.keyName],
  sha256: (victim) => [victim.blobSha256],
}

export const IN_QUERY: Readonly<Record<string, Values>> = {
  collection_id: (victim) => [victim.collectionId, victim.collectionName],
  object_id: (victim) => [victim.objectId],
  collection_ids: (victim) => [victim.collectionId, victim.collectionName],
  "collection_ids[]": (victim) => [victim.collectionId, victim.collectionName],
  search: (victim) => [victim.bucketName, victim.mark],
  request_id: (victim) => [victim.mark],
}

type Body = Readonly<Record<string, unknown>>

export interface Field {
  readonly values: Values
  /** What stands in place of the same keys of a good body. */
  readonly put: (value: string, good: Body) => Body
  /** What a thing that never was answers, where it is the same on every route. */
  readonly status?: number
}

const extractorNamed = (name: string, good: Body) => ({
  ...(good.feature_extractor as Body),
  feature_extractor_name: name,
})
const sourceWith = (source: Body): Body => ({ source: { type: "bucket", ...source } })
const besideOwn = (good: Body, source: Body): Body => ({ source: { ...(good.source as Body), ...source } })
const uploaded = (id: string) => ({ blobs: [{ property: "file", type: "image", upload_id: id }] })
const named = (values: Values, key: string): Field => ({ values, put: (value) => ({ [key]: value }) })

const nameIn = (path: string, victim: Side) => {
  if (path.startsWith("/v1/buckets")) return victim.bucketName
  if (path.startsWith("/v1/collections")) return victim.collectionName
  return path.startsWith("/v1/organizations") ? victim.keyName : victim.pluginName
}

/** By the place in a JSON body. */
export const IN_BODY: Readonly<Record<string, Field>> = {
  "object_ids[]": { values: (victim) => [victim.objectId], put: (id) => ({ object_ids: [id] }), status: 404 },
  // Of a batch's PATCH, which refuses both whatever they name.
  object_ids: { ...named((victim) => [victim.objectId], "object_ids"), status: 422 },
  collection_ids: { ...named((victim) => [victim.collectionId], "collection_ids"), status: 422 },
  "collection_ids[]": {
    values: (victim) => [victim.collectionId, victim.collectionName],
    put: (id) => ({ collection_ids: [id] }),
    status: 404,
  },
  "include_buckets[]": {
    values: (victim) => [victim.bucketId, victim.bucketName],
    put: (id) => ({ include_buckets: [id] }),
    status: 404,
  },
  "include_collections[]": {
    values: (victim) => [victim.collectionId, victim.collectionName],
    put: (id) => ({ include_collections: [id] }),
  },
  "source.bucket_ids[]": {
    values: (victim) => [victim.bucketId, victim.bucketName],
    put: (id) => sourceWith({ bucket_ids: [id] }),
    status: 404,
  },
  "source.bucket_id": {
    values: (victim) => [victim.bucketId, victim.bucketName],
    put: (id) => sourceWith({ bucket_id: id }),
    status: 404,
  },
  "source.collection_ids[]": {
    values: (victim) => [victim.collectionId],
    put: (id, good) => besideOwn(good, { collection_ids: [id] }),
  },
  "source.collection_id": {
    values: (victim) => [victim.collectionId],
    put: (id, good) => besideOwn(good, { collection_id: id }),
  },
  "source.inherited_bucket_ids[]": {
    values: (victim) => [victim.bucketId],
    put: (id, good) => besideOwn(good, { inherited_bucket_ids: [id] }),
  },
  "feature_extractor.feature_extractor_name": {
    values: (victim) => [victim.pluginName],
    put: (name, good) => ({ feature_extractor: extractorNamed(name, good) }),
  },
  "feature_extractors[].feature_extractor_name": {
    values: (victim) => [victim.pluginName],
    put: (name, good) => ({
      feature_extractor: undefined,
      feature_extractors: [{ version: "1.0.0", ...extractorNamed(name, good) }],
    }),
  },
  "blobs[].upload_id": { values: (victim) => [victim.uploadId], put: (id) => uploaded(id), status: 422 },
  "blobs[].data": {
    values: (victim) => [`s3://${victim.bucketId}/${victim.blobSha256}`],
    put: (url) => ({ blobs: [{ property: "file", type: "image", data: { url } }] }),
    status: 200,
  },
  "objects[]": {
    values: (victim) => [victim.uploadId],
    put: (id) => ({ objects: [uploaded(id)] }),
    status: 200,
  },
  file_hash: { values: (victim) => [victim.blobSha256], put: (hash) => ({ file_hash: hash, skip_duplicates: true }) },
  "scopes[].resource_id": {
    values: (victim) => [victim.namespaceId, victim.namespaceName],
    put: (id) => ({ scopes: [{ resource_type: "namespace", resource_id: id }] }),
  },
  // Free here though taken there: a 409 would tell of it.
  inference_name: named((victim) => [victim.pluginId], "inference_name"),
  bucket_name: named((victim) => [victim.bucketName, victim.bucketId], "bucket_name"),
  collection_name: named((victim) => [victim.collectionName, victim.collectionId], "collection_name"),
  namespace_name: named((victim) => [victim.namespaceName, victim.namespaceId], "namespace_name"),
  name: {
    values: (victim, path) => [nameIn(path, victim)],
    put: (name, { version }) => ({ name, version, bucket_name: undefined, collection_name: undefined }),
  },
  filters: {
    values: (victim) => [victim.objectId, victim.bucketId, victim.collectionId, victim.taskId, victim.namespaceId],
    put: (id) => ({
      filters: {
        OR: ["object_id", "bucket_id", "collection_id", "task_id", "namespace_id"].map((field) => ({
          field,
          operator: "eq",
          value: id,
        })),
      },
    }),
  },
  search: named((victim) => [victim.mark, victim.objectId, victim.namespaceId], "search"),
}

/** Fields that look like the name of a thing and are none: they are stored, or describe what is in the same body. */
export const NO_THING: readonly string[] = ["batch_name", "filename", "payload_indexes[].field_name"]
export const LOOKS_LIKE_A_THING =
  /((^|[._])(name|hash)|_(ids?|name|identifier|buckets|collections)|^objects\[)(\[?\])?$/

/** Where what an answer says was made or renamed is removed again, so that its name is free. */
export function removal(made: Record<string, unknown> | null): string | null {
  if (typeof made?.key_id === "string") {
    return `/v1/organizations/users/${made.user_id}/api-keys/${encodeURIComponent(String(made.name))}`
  }
  if (typeof made?.collection_name === "string") return `/v1/collections/${made.collection_id}`
  if (typeof made?.bucket_name === "string") return `/v1/buckets/${made.bucket_id}`
  return typeof made?.namespace_name === "string" ? `/v1/namespaces/${made.namespace_id}` : null
}

/** `a.b[].c` of every value that a JSON body of the operation may hold. */
export function bodyFields(openapi: OpenApi, path: string, method: string): string[] {
  const content = openapi.paths[path]?.[method]?.requestBody?.content["application/json"]
  return content === undefined ? [] : [...new Set(fields(openapi, (content as { schema: unknown }).schema, ""))]
}

interface Schema {
  readonly $ref?: string
  readonly anyOf?: readonly unknown[]
  readonly allOf?: readonly unknown[]
  readonly oneOf?: readonly unknown[]
  readonly items?: unknown
  readonly properties?: Readonly<Record<string, unknown>>
}

function fields(openapi: OpenApi, schema: unknown, at: string): string[] {
  const { $ref, anyOf = [], allOf = [], oneOf = [], items, properties } = schema as Schema
  if ($ref !== undefined) return fields(openapi, openapi.components.schemas[$ref.split("/").at(-1) ?? ""], at)
  const choices = [...anyOf, ...allOf, ...oneOf]
  const inside = [
    ...choices.flatMap((choice) => fields(openapi, choice, at)),
    ...(items === undefined ? [] : fields(openapi, items, `${at}[]`)),
    ...Object.entries(properties ?? {}).flatMap(([key, value]) =>
      fields(openapi, value, at === "" ? key : `${at}.${key}`),
    ),
  ]
  return inside.length === 0 ? [at] : inside
}

/** Another value of the same shape and length: nobody's. */
export function ghost(value: string): string {
  if (value.startsWith("s3://"))
    return value
      .split("/")
      .map((part) => (part.length > 3 ? ghost(part) : part))
      .join("/")
  const [longest = ""] = (value.match(/[a-z0-9]+/g) ?? []).sort((a, b) => b.length - a.length)
  return value.replace(
    longest,
    longest.replace(/[0-9]/g, turned(10, 0x30)).replace(/[a-f]/g, turned(6, 0x61)).replace(/[g-z]/g, turned(20, 0x67)),
  )
}

const turned = (size: number, first: number) => (character: string) =>
  String.fromCharCode(first + ((character.charCodeAt(0) - first + 3) % size))
