/** Workers wait for the next partition with what they have loaded, and no longer than there is something to wait for. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { bucketOf, collectionOf, said, startTrigger, trigger } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { descendants, runs } from "../support/processes.ts"

/** Far less than a worker may be idle. */
const AT_ONCE_MS = 20_000
let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_WORKERS: "1" } })
})
afterAll(() => appliance[Symbol.asyncDispose]())

const telling = (name: string) =>
  published(appliance, {
    name,
    call: `print("begun by", os.getpid(), flush=True)
if "slow" in batch["text"].tolist():
    time.sleep(2)
batch["${name}_embedding"] = [[1.0] * 4] * len(batch)
batch["said"] = str(os.getpid())
return batch`,
  })

/** Of a collection whose batch has just ended. */
async function worker(collection: string): Promise<number> {
  const pid = Number((await said(appliance, collection))[0])
  expect(descendants(appliance.pid)).toContain(pid)
  return pid
}
const ended = (pid: number) => eventually(async () => !runs(pid), AT_ONCE_MS)

test("an idle worker ends with its collection, and with its plugin version", async () => {
  const plugin = await telling("waits")
  const { bucket } = await bucketOf(appliance, ["a"])
  const pids: number[] = []
  const collections: string[] = []
  for (let count = 0; count < 3; count++) {
    const collection = await collectionOf(appliance, bucket, "waits")
    await trigger(appliance, bucket, collection)
    collections.push(collection)
    pids.push(await worker(collection))
  }
  const [first = 0, second = 0, third = 0] = pids
  expect((await appliance.call("DELETE", `/v1/collections/${collections[0]}`)).status).toBe(200)
  await ended(first)
  expect([runs(second), runs(third)]).toEqual([true, true])
  const removed = await appliance.call("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/${plugin}`)
  expect(removed.status).toBe(200)
  await Promise.all([ended(second), ended(third)])
})

test("one that works while its plugin is deleted ends with its partition", async () => {
  const plugin = await telling("works")
  const { bucket } = await bucketOf(appliance, ["slow"])
  const collection = await collectionOf(appliance, bucket, "works")
  const batch = await startTrigger(appliance, collection)
  const pid = await eventually(async () => {
    const { body } = await appliance.call("GET", `/v1/buckets/${bucket}/batches/${batch}/logs`)
    const line = body.logs.find(({ message }: { message: string }) => message.startsWith("begun by "))
    return line === undefined ? null : Number(line.message.split(" ").at(-1))
  })
  expect(descendants(appliance.pid)).toContain(pid)
  await appliance.call("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/${plugin}`)
  await waitForBatch(appliance, bucket, batch)
  expect(await said(appliance, collection)).toEqual([String(pid)])
  await ended(pid)
})
