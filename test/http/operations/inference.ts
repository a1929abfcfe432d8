/** What a deployed plugin answers; the rest of it is in test/deployments. */
import { expect } from "bun:test"
import { eventually } from "../../support/appliance.ts"
import { textPlugin, zip } from "../../support/plugins.ts"
import { badRequest, type Call, type Entry, HIDDEN, invalid, LONG, notFound } from "./entry.ts"
import type { Fixtures } from "./fixtures.ts"

const HANDLER = 'class RealtimeHandler:\n    def predict(self, request):\n        return {"text": request["text"]}\n'
const NAME = "answering"
const once = new WeakMap<Fixtures["ours"], Promise<string>>()

/** Deployed at the first call, for all entries. */
function deployed({ appliance, ours }: Fixtures): Promise<string> {
  const known = once.get(ours)
  if (known !== undefined) return known
  const made = (async () => {
    const raw = await zip({ ...textPlugin({ name: NAME }), "realtime.py": HANDLER })
    const uploads = `/v1/namespaces/${ours.namespaceId}/plugins/uploads`
    const { body: reserved } = await ours.make("POST", uploads, { name: NAME, version: "1.0.0" })
    await appliance.call("PUT", reserved.presigned_url, { key: null, raw })
    const { body } = await ours.make("POST", `${uploads}/${reserved.upload_id}/confirm`)
    const route = `/v1/namespaces/${ours.namespaceId}/plugins/${body.plugin_id}`
    await ours.make("POST", `${route}/deploy`)
    await eventually(async () => {
      const status = await ours.make("GET", `${route}/status`)
      return status.body.deployed ? true : null
    }, 60_000)
    return body.plugin_id as string
  })()
  once.set(ours, made)
  return made
}

const byPrefix = (operation: string): Entry => ({
  operation,
  request: async (f): Promise<Call> => ({
    path: { deployment_name: `custom_plugin_${f.ours.namespaceId}_${await deployed(f)}` },
    body: { text: "asked" },
  }),
  answers: { what: "what the handler answered, and nothing else", body: () => ({ text: "asked" }) },
  refuses: [
    notFound("a name that is none", { path: { deployment_name: "nothing" } }),
    notFound("an unknown plugin", (f) => ({
      path: { deployment_name: `custom_plugin_${f.ours.namespaceId}_nobody_1_0_0` },
    })),
    badRequest("inputs that do not fit the schema", { body: { text: 5 } }),
    invalid("an over-long name", { path: { deployment_name: LONG } }),
  ],
  foreign: HIDDEN,
  malformed: "json",
})

export const inference: readonly Entry[] = [
  {
    operation: "POST /v1/inference",
    request: async (f) => ({ body: { inference_name: await deployed(f), inputs: { text: "asked" } } }),
    answers: {
      what: "the handler's answer in an envelope",
      body: () => ({
        data: { text: "asked" },
        provider: "custom_plugin",
        model: `${NAME}_1_0_0`,
        latency_ms: expect.any(Number),
        cached: false,
      }),
    },
    refuses: [
      badRequest("nothing named", { body: { inputs: { text: "x" } } }),
      badRequest("a provider that is not set up", { body: { provider: "openai", model: "m", inputs: {} } }),
      badRequest("a feature URI that is none", { body: { feature_uri: "mixpeek:nothing", inputs: {} } }),
      notFound("an unknown plugin", { body: { inference_name: "nobody_1_0_0", inputs: {} } }),
      badRequest("a plugin that is not deployed", ({ ours }) => ({
        body: { inference_name: ours.pluginId, inputs: { text: "x" } },
      })),
      invalid("no inputs", async (f) => ({ body: { inference_name: await deployed(f) } })),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: "POST /v1/inference/custom/{feature_extractor_name}",
    request: async (f) => {
      await deployed(f)
      return { path: { feature_extractor_name: NAME }, body: { inputs: { text: "asked" }, parameters: {} } }
    },
    answers: { what: "what the handler answered, and nothing else", body: () => ({ text: "asked" }) },
    refuses: [
      notFound("a name that nothing answers for", { path: { feature_extractor_name: "nobody" } }),
      badRequest("inputs that do not fit the schema", { body: { inputs: {} } }),
      invalid("an over-long name", { path: { feature_extractor_name: LONG } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  byPrefix("POST /inference/{deployment_name}"),
  byPrefix("POST /v1/inference/{deployment_name}"),
]
