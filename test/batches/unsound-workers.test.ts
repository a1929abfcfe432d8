import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { addTexts, bucketOf, collectionOf } from "../support/collections.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"
import { counts, trigger, words } from "./support.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance()
})
afterAll(() => appliance[Symbol.asyncDispose]())

test.each([
  ["moves", "os.rename(directory, directory + '-moved')"],
  ["removes", "[os.remove(os.path.join(directory, file)) for file in os.listdir(directory)]; os.rmdir(directory)"],
])(
  "a row for which a plugin %s the directory of its results fails alone, with the worker's fault",
  async (how, step) => {
    await published(appliance, {
      name: `${how}_its_results`,
      call: `if "number 13" in "".join(batch["text"]):
    paths = []
    for descriptor in range(3, 64):
        try:
            paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    for directory in [os.path.dirname(path) for path in paths if path.endswith("errors.jsonl")]:
        ${step}
batch["label"] = batch["text"]
return batch`,
    })
    const texts = words(40)
    const { bucket } = await bucketOf(appliance, texts)
    const collection = await collectionOf(appliance, bucket, `${how}_its_results`)
    const path = await trigger(appliance, bucket, collection)
    const batch = await waitForBatch(appliance, bucket, path.split("/").at(-1) ?? "")
    expect([batch.status, ...counts(batch)]).toEqual(["COMPLETED_WITH_ERRORS", 40, 39, 1, 0])
    const { body } = await appliance.call("GET", `${path}/failed-documents`)
    expect(body.failed_documents).toHaveLength(1)
    expect(body.failed_documents[0]).toMatchObject({
      row: 13,
      exception: "OutputRefused",
      error: "The worker left no directory of files.",
    })
    const { body: documents } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { limit: 100 },
    })
    expect(documents.results.map(({ label }: { label: string }) => label).sort()).toEqual(
      texts.filter((text) => text !== "text number 13").sort(),
    )
  },
)

test("a worker whose partition failed as a whole is not used again: what made it fail may be there still", async () => {
  const name = "cannot_be_built"
  const files = textPlugin({ name })
  const core = (files["processors/core.py"] ?? "").replace(
    "        self.config = config",
    `        BUILT.append(1)
        raise RuntimeError(f"built {len(BUILT)} times in this worker")`,
  )
  const published = await upload(appliance, { ...files, "processors/core.py": `BUILT = []\n${core}` }, { name })
  if (published.status !== 200) throw new Error(published.text)
  const { bucket } = await bucketOf(appliance, words(3))
  const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, name))
  const batch = await waitForBatch(appliance, bucket, path.split("/").at(-1) ?? "")
  expect([batch.status, ...counts(batch)]).toEqual(["FAILED", 3, 0, 3, 0])
  const { body } = await appliance.call("GET", `${path}/failed-documents`)
  expect(body.failed_documents.map(({ error }: { error: string }) => error)).toEqual(
    Array(3).fill("built 1 times in this worker"),
  )
})

describe("rows that a worker dies of only because of what an earlier row left in it", () => {
  const name = "leaves_a_trap"

  beforeAll(async () => {
    const files = textPlugin({
      name,
      manifestExtra: 'compute_profile = {"batch_size": 4}',
      call: `if TRAP:
    os.abort()
if any(text.startswith("trap") for text in batch["text"]):
    TRAP.append(1)
batch["label"] = batch["text"]
return batch`,
    })
    const core = `TRAP = []\n${files["processors/core.py"] ?? ""}`
    const published = await upload(appliance, { ...files, "processors/core.py": core }, { name })
    if (published.status !== 200) throw new Error(published.text)
  })

  test("are done, in a worker that has had no others", async () => {
    const { bucket } = await bucketOf(
      appliance,
      words(60).map((text, index) => (index % 6 === 2 ? `trap ${index}` : text)),
    )
    const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, name))
    const batch = await waitForBatch(appliance, bucket, path.split("/").at(-1) ?? "")
    expect([batch.status, ...counts(batch)]).toEqual(["COMPLETED", 60, 60, 0, 0])
  })

  test("are done, also where they are all that a batch has", async () => {
    const { bucket } = await bucketOf(appliance, ["trap"])
    const collection = await collectionOf(appliance, bucket, name)
    const first = await trigger(appliance, bucket, collection)
    expect((await waitForBatch(appliance, bucket, first.split("/").at(-1) ?? "")).status).toBe("COMPLETED")
    const ids = await addTexts(appliance, bucket, ["an innocent text"])
    const { body } = await appliance.call("POST", `/v1/collections/${collection}/trigger`, {
      body: { object_ids: ids },
    })
    const batch = await waitForBatch(appliance, bucket, body.batch_id)
    expect([batch.status, ...counts(batch)]).toEqual(["COMPLETED", 1, 1, 0, 0])
  })
})
