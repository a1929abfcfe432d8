import { expect } from "bun:test"
import { createHash } from "node:crypto"
import { textPlugin, zip } from "../../support/plugins.ts"
import { badRequest, conflict, type Entry, forbidden, HIDDEN, invalid, LONG, notFound, wrongType } from "./entry.ts"
import { type Fixtures, fresh, freshPluginUpload } from "./fixtures.ts"

const path = "/v1/namespaces/{namespace_id}/plugins"
const inOurs = ({ ours }: Fixtures) => ({ path: { namespace_id: ours.namespaceId } })
const unknownNamespace = notFound("an unknown namespace", { path: { namespace_id: "ns_unknown" } })
const longUpload = invalid("an over-long id", { path: { upload_id: LONG } })

const form = async (name: string, file: Uint8Array<ArrayBuffer>) => {
  const fields = new FormData()
  fields.set("name", name)
  fields.set("version", "1.0.0")
  fields.set("file", new File([file], "plugin.zip", { type: "application/zip" }))
  return fields
}

export const pluginUploads: readonly Entry[] = [
  {
    operation: `POST ${path}/uploads`,
    request: (f) => ({ ...inOurs(f), body: { name: fresh("plugin"), version: "v1", description: f.ours.mark } }),
    answers: {
      what: "where to PUT the archive",
      body: ({ ours }) => ({
        upload_id: expect.stringMatching(/^plu_/),
        presigned_url: expect.stringContaining("/v1/presigned/plugins/plu_"),
        expires_at: expect.any(String),
        s3_key: expect.stringContaining(`${ours.organizationId}/${ours.namespaceId}/plugin_custom/`),
        namespace_id: ours.namespaceId,
        version: "1.0.0",
      }),
    },
    refuses: [
      unknownNamespace,
      invalid("no version", { body: { name: "a_plugin" } }),
      invalid("a name that is a path", { body: { name: "../a", version: "1.0.0" } }),
      invalid("what is no version", { body: { name: "a_plugin", version: "latest" } }),
      conflict("a registered version", ({ ours }) => ({ body: { name: ours.pluginName, version: "1.0" } })),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: "PUT /v1/presigned/plugins/{upload_id}",
    request: async ({ ours }) => {
      const { body } = await ours.make("POST", `/v1/namespaces/${ours.namespaceId}/plugins/uploads`, {
        name: fresh("plugin"),
        version: "1.0.0",
      })
      const query = new URL(body.presigned_url).search.slice(1)
      return { path: { upload_id: body.upload_id }, query, key: null, raw: "an archive" }
    },
    answers: {
      what: "the MD5 of the bytes as ETag",
      check: ({ headers }) =>
        expect(headers.get("etag")).toBe(`"${createHash("md5").update("an archive").digest("hex")}"`),
    },
    refuses: [
      forbidden("another upload under this signature", { path: { upload_id: "plu_other" } }),
      forbidden("a wrong signature", (_, { query = "" }) => ({
        query: query.replace(/.$/, (last) => (last === "0" ? "1" : "0")),
      })),
      forbidden("no signature", { query: "" }),
      forbidden("a longer life than was signed", (_, { query = "" }) => ({
        query: query.replace(/expires=\d+/, "expires=9999999999"),
      })),
    ],
    foreign: { is: "public", because: "the signed URL is the credential" },
    malformed: [longUpload, badRequest("no bytes", { raw: "" })],
  },
  {
    operation: `POST ${path}/uploads/{upload_id}/confirm`,
    request: async (f) => ({ path: { namespace_id: f.ours.namespaceId, upload_id: await freshPluginUpload(f) } }),
    answers: {
      what: "the registered plugin",
      body: (_, call) => ({
        success: true,
        upload_id: call.path?.upload_id,
        plugin_id: expect.stringMatching(/^plugin_\d+_1_0_0$/),
        validation_status: "passed",
        deployment_status: "not_deployed",
        feature_uri: expect.stringMatching(/^mixpeek:\/\/plugin_\d+@1\.0\.0$/),
      }),
    },
    refuses: [
      unknownNamespace,
      notFound("an unknown upload", { path: { upload_id: "plu_unknown" } }),
      badRequest("another ETag than that of the bytes", { body: { etag: "0".repeat(32) } }),
      badRequest("another size than that of the bytes", { body: { file_size_bytes: 1 } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${path}`,
    request: async (f) => {
      const name = fresh("plugin")
      return { ...inOurs(f), raw: await form(name, await zip(textPlugin({ name }))) }
    },
    answers: {
      what: "the registered plugin",
      body: () => ({
        success: true,
        plugin_id: expect.any(String),
        validation_status: "passed",
        deployment_status: "not_deployed",
        feature_uri: expect.any(String),
        s3_archive_url: expect.any(String),
      }),
    },
    refuses: [
      unknownNamespace,
      invalid("a name that is a path", async () => ({ raw: await form("../a", await zip(textPlugin())) })),
      badRequest("what is no archive", async () => ({ raw: await form("a_plugin", new Uint8Array([1, 2, 3])) })),
      conflict("a registered version", async ({ ours: { pluginName: name } }) => ({
        raw: await form(name, await zip(textPlugin({ name }))),
      })),
    ],
    foreign: HIDDEN,
    malformed: [
      wrongType("JSON", { raw: "{", headers: { "Content-Type": "application/json" } }),
      badRequest("a form without its end", {
        raw: '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nPK',
        headers: { "Content-Type": "multipart/form-data; boundary=b" },
      }),
      badRequest("a form without a boundary", { raw: "x", headers: { "Content-Type": "multipart/form-data" } }),
      invalid("an empty form", { raw: "--b--\r\n", headers: { "Content-Type": "multipart/form-data; boundary=b" } }),
    ],
  },
]
