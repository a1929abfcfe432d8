/** The bounds of a revision, without a worker: what waits, what is told at the end, how far a client may be behind. */
import { expect, test } from "bun:test"
import { endpoint } from "../../src/deployments/endpoint.ts"
import { RunningRevision } from "../../src/deployments/revision.ts"
import type { ApplianceError } from "../../src/errors.ts"
import { createLog } from "../../src/log.ts"
import type { Namespace } from "../../src/organizations/namespaces.ts"

const REQUEST = new TextEncoder().encode("{}")
const NAMESPACE: Namespace = { namespaceId: "ns_1", name: "default", internalId: "int_1", orgId: "org_1" }

/** Its one replica never comes up. */
function starting() {
  return new RunningRevision({
    id: "rev_1",
    inputSchema: null,
    minReplicas: 0,
    maxReplicas: 1,
    idleMs: 0,
    maxBatch: 1,
    computes: true,
    fits: async () => true,
    start: () => new Promise(() => undefined),
    onFailure: () => undefined,
    log: createLog("silent"),
  })
}

const typeOf = (call: Promise<unknown>) =>
  call.then(
    () => "answered",
    (error: ApplianceError) => error.type,
  )
const ask = (revision: RunningRevision, deadlineMs = 60_000) =>
  typeOf(revision.call(REQUEST, { deadlineMs, onPiece: () => undefined }))

test("a revision that ends tells everybody who waits, and whoever comes afterwards", async () => {
  const revision = starting()
  const waiting = [ask(revision), ask(revision)]
  await revision.end()
  expect(await Promise.all(waiting)).toEqual(Array(2).fill("InferenceServiceUnavailableError"))
  expect(await ask(revision)).toBe("InferenceServiceUnavailableError")
})

test("more than 1,024 that wait are told to come back", async () => {
  const revision = starting()
  const waiting = Array.from({ length: 1_024 }, () => ask(revision))
  expect(await ask(revision)).toBe("TooManyRequestsError")
  await revision.end()
  await Promise.all(waiting)
})

test("a request that nobody was free for ends at its deadline", async () => {
  const revision = starting()
  expect(await ask(revision, 20)).toBe("TimeoutError")
  await revision.end()
})

test("a client that reads nothing of a stream ends it at 16 MiB", async () => {
  const refused: string[] = []
  const flooding = {
    ask: (_: Uint8Array, { onPiece }: { onPiece: (piece: Uint8Array) => void }) => {
      try {
        for (let piece = 0; piece < 17; piece++) onPiece(new Uint8Array(1024 * 1024))
      } catch (error) {
        refused.push((error as ApplianceError).message)
      }
    },
  } as unknown as RunningRevision
  const { call } = endpoint({
    deployments: { answering: () => flooding, aliased: () => "", serves: () => true, shadowsOf: () => [] },
    registered: () => true,
    deadlineMs: 1_000,
  })
  const answer = await call(
    NAMESPACE,
    "flooding_1_0_0",
    { body: REQUEST, inputs: {} },
    {
      requestId: "req_1",
      signal: () => new AbortController().signal,
    },
  )
  expect(answer.body).toBeNull()
  expect(refused).toEqual([expect.stringContaining("behind the stream")])
})
