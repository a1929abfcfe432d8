/** A rollout without processes: what memory allows, what is called off, and which states may follow which. */
import { expect, test } from "bun:test"
import { type Rollouts, rollouts } from "../../src/deployments/rollout.ts"
import { rolloutStates } from "../../src/deployments/rollout-states.ts"
import { createLog } from "../../src/log.ts"
import type { PluginRow } from "../../src/metadata/plugins.ts"
import type { RegisteredPlugin } from "../../src/plugins/registry.ts"
import { openDomain } from "../buckets/support.ts"
import { eventually } from "../support/appliance.ts"
import { type FakeWorker, fakeRevision } from "./fake-worker.ts"

const AT = "2026-01-10T12:00:00.000Z"

function domainWithPlugin(memoryAvailable: () => number) {
  const domain = openDomain()
  const { metadata, namespace } = domain
  const row: PluginRow = {
    namespace_id: namespace.namespaceId,
    plugin_id: "p_1_0_0",
    name: "p",
    version: "1.0.0",
    description: null,
    code_hash: "0".repeat(64),
    archive_file: "a.zip",
    archive_bytes: 1,
    rule_set: "seed-2026-01",
    warnings: "[]",
    notes: "[]",
    manifest: "{}",
    has_realtime: 1,
    environment: null,
    created_at: AT,
    updated_at: AT,
  } as unknown as PluginRow
  metadata.transact((tx) => tx.write.plugins.insert(row))
  const started: FakeWorker[][] = []
  const now = () => new Date()
  const rolling: Rollouts = rollouts({
    metadata,
    namespaceById: () => namespace,
    pluginById: () => ({ manifest: { input_schema: null } }) as unknown as RegisteredPlugin,
    revision(id) {
      const { revision, workers } = fakeRevision(id, 1_000)
      started.push(workers)
      return revision
    },
    bakeMs: 0,
    memoryAvailable,
    now,
    log: createLog("silent"),
  })
  const state = () => metadata.read.deployments.get(namespace.namespaceId, row.plugin_id)
  /** Answers the probe of the n-th revision and waits for the rollout's end. */
  const deploy = async (reason: string) => {
    const count = started.length
    rolling.enqueue(namespace, row, "me@example.com", reason)
    const worker = await eventually(async () => started[count]?.[0] ?? null)
    await eventually(async () => (worker.calls.length > 0 ? true : null))
    const beside = started
      .slice(0, count)
      .flat()
      .filter(({ alive }) => alive).length
    worker.answer(1)
    await eventually(async () => (state()?.status === "DEPLOYED" ? true : null))
    return { worker, beside }
  }
  const states = rolloutStates({ metadata, now })
  return { domain, namespace, row, rolling, states, started, state, deploy }
}

test("where memory allows one revision only, the old one ends before the new one starts", async () => {
  let available = Number.POSITIVE_INFINITY
  const { domain, rolling, deploy } = domainWithPlugin(() => available)
  using _ = domain
  await deploy("deploy")
  expect((await deploy("deploy")).beside).toBe(1)
  available = 1_000
  expect((await deploy("deploy")).beside).toBe(0)
  await rolling[Symbol.asyncDispose]()
})

test("a shadow for which there is no memory fails, and what answers goes on", async () => {
  let available = Number.POSITIVE_INFINITY
  const { domain, rolling, namespace, row, state, started, deploy } = domainWithPlugin(() => available)
  using _ = domain
  const { worker } = await deploy("deploy")
  available = 1_000
  rolling.enqueue(namespace, row, "me@example.com", "shadow")
  await eventually(async () => (state()?.status === "FAILED" ? true : null))
  expect(state()?.error).toContain("not enough memory")
  expect(worker.alive).toBe(true)
  const running = rolling.answering(namespace.namespaceId, row.plugin_id)
  const asked = running?.call(new Uint8Array(), { deadlineMs: 1_000, onPiece: () => undefined })
  started[0]?.[0]?.answer(2)
  expect(await asked).toBeDefined()
  await rolling[Symbol.asyncDispose]()
})

test("a shadow whose source is taken down while it starts does not answer in its place", async () => {
  const { domain, rolling, namespace, row, state, started, deploy } = domainWithPlugin(() => Number.POSITIVE_INFINITY)
  using _ = domain
  await deploy("deploy")
  rolling.enqueue(namespace, row, "me@example.com", "shadow")
  const shadow = await eventually(async () => started[1]?.[0] ?? null)
  rolling.takeDown(namespace.namespaceId, row.plugin_id, false)
  await eventually(async () => (shadow.alive ? null : true))
  expect(state()).toMatchObject({ status: "NOT_DEPLOYED", live_revision_id: null })
  expect(rolling.answering(namespace.namespaceId, row.plugin_id)).toBeUndefined()
  await rolling[Symbol.asyncDispose]()
})

test("a state that may not follow is refused, and nothing has changed", () => {
  const { domain, namespace, row, states, state } = domainWithPlugin(() => 0)
  using _ = domain
  const revisionId = states.queue(namespace, row, "me@example.com", "deploy").rollout_revision_id ?? ""
  expect(() => states.live(revisionId, undefined)).toThrow("is QUEUED, not to be LIVE")
  expect(state()).toMatchObject({ status: "QUEUED", live_revision_id: null })
  states.pending(revisionId)
  states.inProgress(revisionId)
  expect(states.live(revisionId, undefined)?.deployment.status).toBe("DEPLOYED")
  // It is no rollout any more: whoever comes late changes nothing.
  states.failed(revisionId, "late")
  expect(state()).toMatchObject({ status: "DEPLOYED", live_revision_id: revisionId, error: null })
  expect(() => states.retired(revisionId)).toThrow("is LIVE, not to be RETIRED")
})
