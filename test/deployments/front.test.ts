/** A plain request is answered before the router; it must not be told from one that took the routes. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type CallOptions, eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { deployed, pluginRoute, published } from "./support.ts"

const HANDLER = `class RealtimeHandler:
    def predict(self, request):
        if request["text"] == "raise":
            raise ValueError("no good")
        if request["text"] == "stream":
            return iter([{"n": 1}, {"n": 2}])
        return {"text": request["text"], "parameters": request.get("parameters")}
`
/** The router takes what names a character set. */
const ROUTED = { "Content-Type": "application/json; charset=utf-8" }

let appliance: TestAppliance
let paths: string[]
let id: string
beforeAll(async () => {
  appliance = await startTestAppliance()
  id = await published(appliance, "fronted", HANDLER)
  await deployed(appliance, id)
  const prefix = `/inference/custom_plugin_${appliance.namespaceId}_${id}`
  paths = [prefix, `/v1${prefix}`, "/v1/inference/custom/fronted"]
}, 180_000)
afterAll(() => appliance[Symbol.asyncDispose]())

async function both(path: string, options: CallOptions) {
  const [plain, routed] = await Promise.all([
    appliance.call("POST", path, options),
    appliance.call("POST", path, { ...options, headers: { ...ROUTED, ...options.headers } }),
  ])
  return [plain, routed].map(({ status, text, headers }) => ({
    status,
    text,
    names: [...headers.keys()].filter((name) => name !== "content-length" && name !== "transfer-encoding").sort(),
    type: headers.get("Content-Type"),
  }))
}

test.each([
  ["the inputs themselves", { body: { text: "a" } }, 200],
  ["an envelope", { body: { inputs: { text: "a" }, parameters: { p: 1 } } }, 200],
  ["what the schema refuses", { body: { text: 3 } }, 400],
  ["what the handler raises", { body: { text: "raise" } }, 500],
  ["a stream", { body: { text: "stream" } }, 200],
  ["a list", { body: [1] }, 422],
  ["no JSON", { raw: "{" }, 400],
  ["a number that no double holds", { raw: '{"text":"a","more":1e999}' }, 400],
  ["a whole number of more than 64 bits", { raw: '{"text":"a","more":18446744073709551617}' }, 400],
  ["half a surrogate pair", { raw: '{"text":"\\ud800"}' }, 400],
  ["half a surrogate pair in a key", { raw: '{"text":"a","\\uDFFF":1}' }, 400],
  ["no UTF-8", { raw: new Uint8Array([0x7b, 0xff, 0x7d]) }, 400],
  ["no key", { body: { text: "a" }, key: null }, 401],
  ["an unknown key", { body: { text: "a" }, key: "sk_unknown" }, 401],
] as [string, CallOptions, number][])(
  "%s is answered the same with and without the router",
  async (_, options, status) => {
    for (const path of paths) {
      const given =
        options.raw === undefined ? options : { ...options, headers: { "Content-Type": "application/json" } }
      const [plain, routed] = await both(path, given)
      expect(plain?.status).toBe(status)
      expect(plain).toEqual(routed as NonNullable<typeof routed>)
      expect(plain?.names).toContain("x-request-id")
      if (options.key === undefined) expect(plain?.names).toContain("x-ratelimit-remaining")
    }
  },
)

test("whole numbers past 53 bits reach the handler as they were sent, on every way", async () => {
  const id = await published(
    appliance,
    "counting",
    `class RealtimeHandler:
    def predict(self, request):
        return {"said": repr((request["text"], request["n"], request["more"]))}
`,
  )
  await deployed(appliance, id)
  const inputs = '{"text":"count","n":9007199254740993,"more":[18446744073709551615,-9223372036854775807]}'
  const said = "('count', 9007199254740993, [18446744073709551615, -9223372036854775807])"
  const raw = { raw: inputs }
  for (const path of [`/inference/custom_plugin_${appliance.namespaceId}_${id}`, "/v1/inference/custom/counting"]) {
    for (const { text, status } of await both(path, raw)) expect([status, JSON.parse(text)]).toEqual([200, { said }])
  }
  const enveloped = await appliance.call("POST", "/v1/inference", {
    raw: `{"inference_name":"${id}","inputs":${inputs}}`,
  })
  expect(enveloped.body.data).toEqual({ said })
}, 180_000)

test("what was admitted a moment ago is refused once its key is revoked, may less or has expired, or another namespace is named", async () => {
  const keys = "/v1/organizations/users/dev@example.com/api-keys"
  const made = async (name: string, rest: object = {}) => {
    const { body } = await appliance.call("POST", keys, { body: { name, permissions: ["read", "write"], ...rest } })
    const ask = (path: string, headers: Record<string, string> = {}) =>
      appliance.call("POST", path, { body: { text: "a" }, key: body.key, headers }).then(({ status }) => status)
    return { ask, change: (changes: object) => appliance.call("PATCH", `${keys}/${name}`, { body: changes }) }
  }
  for (const path of paths) {
    const revoked = await made(`revoked-${paths.indexOf(path)}`)
    expect([await revoked.ask(path), await revoked.ask(path)]).toEqual([200, 200])
    await appliance.call("DELETE", `${keys}/revoked-${paths.indexOf(path)}`)
    expect(await revoked.ask(path)).toBe(401)
  }
  const [prefix = "", , named = ""] = paths
  const reader = await made("reader")
  expect(await reader.ask(prefix)).toBe(200)
  await reader.change({ permissions: ["read"] })
  expect(await reader.ask(prefix)).toBe(403)
  const brief = await made("brief", { expires_at: new Date(Date.now() + 1_500).toISOString() })
  expect(await brief.ask(prefix)).toBe(200)
  const until = Date.now() + 1_500
  for (let status = 200; status !== 401; status = await brief.ask(prefix)) expect(Date.now()).toBeLessThan(until + 500)
  const elsewhere = await made("elsewhere")
  expect(await elsewhere.ask(named)).toBe(200)
  expect(await elsewhere.ask(named, { "X-Namespace": appliance.namespaceId })).toBe(200)
  expect(await elsewhere.ask(named, { "X-Namespace": "nonexistent" })).toBe(404)
  expect(await elsewhere.ask(named)).toBe(200)
})

test("a key of another organization, a limit and an undeployed plugin are told by the routes", async () => {
  const [path = ""] = paths
  const body = { text: "a" }
  expect((await appliance.call("POST", path, { body, key: appliance.otherKey })).status).toBe(404)
  const limit = await appliance.call("PATCH", `/v1/namespaces/${appliance.namespaceId}`, {
    body: { quotas: { requests_per_second: 1 } },
  })
  expect(limit.status).toBe(200)
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => appliance.call("POST", path, { body, namespace: appliance.namespaceId })),
  )
  const limited = answers.filter(({ status }) => status === 429)
  expect(limited.length).toBeGreaterThan(0)
  expect(limited[0]?.headers.get("Retry-After")).toBe("1")
  // The path names the namespace: another one in the header does not count the request elsewhere.
  for (const headers of [{}, ROUTED]) {
    const round = Array.from({ length: 5 }, () =>
      appliance.call("POST", path, { body, headers: { "X-Namespace": "nonexistent", ...headers } }),
    )
    expect((await Promise.all(round)).filter(({ status }) => status === 429).length).toBeGreaterThan(0)
  }
  await eventually(async () => {
    const unlimited = { body: { quotas: null } }
    const answer = await appliance.call("PATCH", `/v1/namespaces/${appliance.namespaceId}`, unlimited)
    return answer.status === 200 ? true : null
  })
  expect((await appliance.call("POST", `${pluginRoute(appliance, id)}/undeploy`)).status).toBe(200)
  expect((await appliance.call("POST", path, { body })).status).toBe(400)
})
