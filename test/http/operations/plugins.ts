import { expect } from "bun:test"
import { type Entry, forbidden, HIDDEN, invalid, LONG, notFound, wrongMethod } from "./entry.ts"
import { type Fixtures, freshPlugin } from "./fixtures.ts"

const path = "/v1/namespaces/{namespace_id}/plugins"
const one = `${path}/{plugin_id}`
const ours = ({ ours }: Fixtures) => ({ path: { namespace_id: ours.namespaceId, plugin_id: ours.pluginId } })
const unknownNamespace = notFound("an unknown namespace", { path: { namespace_id: "ns_unknown" } })
const unknownPlugin = notFound("an unknown plugin", { path: { plugin_id: "unknown_1_0_0" } })
const longPlugin = invalid("an over-long id", { path: { plugin_id: LONG } })
const refuses = [unknownNamespace, unknownPlugin]

export const plugins: readonly Entry[] = [
  {
    operation: `GET ${path}`,
    request: ({ ours }) => ({ path: { namespace_id: ours.namespaceId } }),
    answers: {
      what: "the namespace's plugins",
      body: ({ ours }) => ({
        success: true,
        plugins: expect.arrayContaining([
          expect.objectContaining({
            plugin_id: ours.pluginId,
            name: ours.pluginName,
            version: "1.0.0",
            deployed: false,
            validation_status: "passed",
            feature_uri: `mixpeek://${ours.pluginName}@1.0.0`,
          }),
        ]),
        total: expect.any(Number),
        namespace_id: ours.namespaceId,
      }),
    },
    refuses: [unknownNamespace],
    foreign: HIDDEN,
    malformed: [invalid("an over-long namespace", { path: { namespace_id: LONG } })],
  },
  {
    operation: `GET ${one}`,
    request: (f) => ({ ...ours(f), query: "return_presigned_urls=true" }),
    answers: {
      what: "the plugin and a URL of its archive",
      body: ({ ours }) => ({
        success: true,
        plugin: {
          plugin_id: ours.pluginId,
          namespace_id: ours.namespaceId,
          organization_id: ours.organizationId,
          name: ours.pluginName,
          version: "1.0.0",
          code_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
          validation_status: "passed",
          security_scan_passed: true,
          manifest: { feature_extractor_name: ours.pluginName },
        },
        presigned_download_url: expect.stringContaining("/v1/presigned/archives/"),
      }),
    },
    refuses: [...refuses, invalid("a flag that is none", { query: "return_presigned_urls=perhaps" })],
    foreign: HIDDEN,
    malformed: [longPlugin],
  },
  {
    operation: "GET /v1/presigned/archives/{namespace_id}/{plugin_id}",
    request: async (f) => {
      const address = `/v1/namespaces/${f.ours.namespaceId}/plugins/${f.ours.pluginId}?return_presigned_urls=true`
      const { body } = await f.ours.make("GET", address)
      return { ...ours(f), query: new URL(body.presigned_download_url).search.slice(1), key: null }
    },
    answers: { what: "the archive's bytes", check: ({ text }) => expect(text).toStartWith("PK") },
    refuses: [
      forbidden("another plugin under this signature", ({ theirs }) => ({ path: { plugin_id: theirs.pluginId } })),
      forbidden("another namespace under this signature", ({ theirs }) => ({
        path: { namespace_id: theirs.namespaceId },
      })),
      forbidden("no signature", { query: "" }),
      forbidden("a signature of another time", (_, { query = "" }) => ({
        query: query.replace(/expires=\d+/, "expires=9999999999"),
      })),
    ],
    foreign: { is: "public", because: "the signed URL is the credential" },
    malformed: [longPlugin, invalid("an over-long signature", { query: `signature=${LONG}` })],
  },
  {
    operation: `POST ${one}/deploy`,
    request: (f) => ({ ...ours(f), query: "deployment_type=batch_only" }),
    answers: {
      what: "deployed for batches, since it has no realtime handler",
      body: ({ ours }) => ({ status: "deployed", deployment_type: "batch_only", plugin_id: ours.pluginId }),
    },
    refuses: [...refuses, invalid("an unknown kind of deployment", { query: "deployment_type=blue" })],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `GET ${one}/status`,
    request: ours,
    answers: {
      what: "NOT_DEPLOYED in upper case",
      body: ({ ours }) => ({ plugin_id: ours.pluginId, namespace_id: ours.namespaceId, status: "NOT_DEPLOYED" }),
    },
    refuses,
    foreign: HIDDEN,
    malformed: [longPlugin],
  },
  {
    operation: `POST ${one}/undeploy`,
    request: ours,
    answers: {
      what: "success though nothing was deployed",
      body: ({ ours }) => ({ success: true, plugin_id: ours.pluginId, status: "NOT_DEPLOYED", deployed: false }),
    },
    refuses,
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `POST ${one}/rollback`,
    request: ours,
    answers: {
      what: "that nothing was ever deployed",
      status: 400,
      body: () => ({ success: false, error: { type: "BadRequestError" } }),
    },
    refuses: [...refuses, wrongMethod("a GET", { method: "GET" })],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `GET ${one}/logs`,
    request: ours,
    answers: { what: "nothing of a plugin that was never deployed", body: () => ({ success: true, logs: [] }) },
    refuses: [...refuses, invalid("no number of lines", { query: "limit=0" })],
    foreign: HIDDEN,
    malformed: [longPlugin],
  },
  {
    operation: `GET ${one}/revisions`,
    request: ours,
    answers: { what: "none of a plugin that was never deployed", body: () => ({ success: true, revisions: [] }) },
    refuses,
    foreign: HIDDEN,
    malformed: [longPlugin],
  },
  {
    operation: `DELETE ${one}`,
    request: async (f) => ({ path: { namespace_id: f.ours.namespaceId, plugin_id: await freshPlugin(f) } }),
    answers: {
      what: "success, and the plugin is gone",
      body: (_, call) => ({
        success: true,
        plugin_id: call.path?.plugin_id,
        message: expect.any(String),
        deployment_removed: false,
      }),
      check: async (_, { appliance, ours }, call) => {
        const address = `/v1/namespaces/${ours.namespaceId}/plugins/${call.path?.plugin_id}`
        expect((await appliance.call("GET", address)).status).toBe(404)
      },
    },
    refuses: [unknownPlugin, longPlugin],
    foreign: HIDDEN,
    malformed: "none",
  },
]
