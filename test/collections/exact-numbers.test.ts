/** Whole numbers of more than 53 bits, such as perceptual hashes: what a plugin wrote is what is answered and what is read below. */
import { expect, test } from "bun:test"
import { startTestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf, trigger } from "../support/collections.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"

const READS = `${" ".repeat(4)}text: str = Field(..., description="Input text")`

test("whole numbers of 64 bits and more are answered digit by digit, to lists, gets, selections and failed rows", async () => {
  await using appliance = await startTestAppliance()
  await published(appliance, {
    name: "hashes",
    call: `batch["phash"] = [2**64 - 1] * len(batch)
batch["found"] = [{"ids": [2**53 + 1, -(2**63)], "large": 10**30, "text": "9007199254740993"}] * len(batch)
return batch`,
  })
  const reads = textPlugin({ name: "reads_hashes", call: `raise ValueError(str(batch["phash"].tolist()[0]))` })
  const below = {
    ...reads,
    "manifest.py": (reads["manifest.py"] ?? "").replace(READS, "    phash: int"),
    "pipeline.py": (reads["pipeline.py"] ?? "").replace("RowCondition.IS_TEXT", "RowCondition.ALWAYS"),
  }
  expect((await upload(appliance, below, { name: "reads_hashes" })).status).toBe(200)
  const { bucket } = await bucketOf(appliance, ["one"])
  const collection = await collectionOf(appliance, bucket, "hashes")
  const made = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "below",
      source: { type: "collection", collection_id: collection },
      feature_extractor: { feature_extractor_name: "reads_hashes", version: "1.0.0" },
    },
  })
  expect(made.status).toBe(200)
  const batch = await trigger(appliance, bucket, collection)
  expect([batch.rows_done, batch.rows_failed]).toEqual([1, 1])

  const list = (body: object) => appliance.call("POST", `/v1/collections/${collection}/documents/list`, { body })
  const listed = await list({})
  expect(listed.text).toContain(
    `"phash":18446744073709551615,"found":{"ids":[9007199254740993,-9223372036854775808],` +
      `"large":1000000000000000000000000000000,"text":"9007199254740993"}`,
  )
  const id = listed.body.results[0].document_id
  const one = await appliance.call("GET", `/v1/collections/${collection}/documents/${id}`)
  expect(one.text).toContain(`"phash":18446744073709551615,`)
  const selected = await list({ select: ["found.ids", "phash", "found.large.rawJSON"] })
  expect(selected.text).toContain(
    `{"found":{"ids":[9007199254740993,-9223372036854775808]},"phash":18446744073709551615,`,
  )

  const failed = await appliance.call(
    "GET",
    `/v1/buckets/${bucket}/batches/${batch.batch_id}/failed-documents?include_input=true`,
  )
  expect(failed.body.failed_documents[0].error).toBe("18446744073709551615")
  expect(failed.text).toContain(`"phash":18446744073709551615,`)
}, 60_000)
