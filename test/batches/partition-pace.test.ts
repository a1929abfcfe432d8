/** How large partitions are at their lease: by the time that their plugin takes, and so that all workers have some. */

import { Database } from "bun:sqlite"
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { partitionPace } from "../../src/batches/partition-pace.ts"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { leased, openLedger } from "./ledger-support.ts"
import { batchOnce, counts, trigger, words } from "./support.ts"

const WORKERS = 2

/** A run of one collection with so many rows, of which some are done. */
const runOf = (
  rows: number,
  done = 0,
  more: { collection_id?: string; code_hash?: string; parameters?: object } = {},
) => ({
  collection_id: more.collection_id ?? "col_1",
  plugin_id: "x_1_0_0",
  code_hash: more.code_hash ?? "0",
  feature_extractor: JSON.stringify({ parameters: more.parameters ?? {} }),
  rows_in: rows,
  rows_done: done,
  rows_failed: 0,
  rows_skipped: 0,
})
const whole = (rows: number) => ({ rows_in: rows, deaths: 0 })
const MANY = 1_000_000

describe("the rows of the next partition", () => {
  const measured = (...seen: [rows: number, seconds: number][]) => {
    const pace = partitionPace({ workers: WORKERS, seconds: 10 })
    for (const [rows, seconds] of seen) pace.measured(runOf(MANY), whole(rows), seconds)
    return pace
  }

  test("a plugin that was not measured is tried with a few", () => {
    expect(measured().rowsFor(runOf(MANY), 1)).toBe(16)
  })

  test("after two small ones a cheap plugin's partitions are as large as any", () => {
    expect(measured([16, 0.02]).rowsFor(runOf(400_000), 1)).toBe(512)
    expect(measured([16, 0.02], [512, 0.05]).rowsFor(runOf(MANY), 1)).toBeGreaterThan(16_000)
  })

  test("a partition is what takes a worker about ten seconds", () => {
    expect(measured([16, 0.8]).rowsFor(runOf(100_000), 1)).toBe(200)
    expect(measured([16, 32]).rowsFor(runOf(1_000), 1)).toBe(5)
    expect(measured([16, 16_000]).rowsFor(runOf(100), 1)).toBe(1)
  })

  test("the last one measured decides, and one that ended its worker does not", () => {
    expect(measured([16, 0.02], [512, 0.05], [16_000, 3_200]).rowsFor(runOf(20_000), 1)).toBe(50)
    const pace = measured([16, 0.8])
    pace.measured(runOf(MANY), { rows_in: 1, deaths: 3 }, 5)
    expect(pace.rowsFor(runOf(100_000), 1)).toBe(200)
  })

  test("one whose rows never reached a worker says that they cost nothing", () => {
    expect(measured([16, 0]).rowsFor(runOf(400_000), 1)).toBe(512)
  })

  test("the last rows are shared among the workers, down to a second's worth", () => {
    const pace = measured([16, 0.8])
    expect(pace.rowsFor(runOf(400), 1)).toBe(100)
    expect(pace.rowsFor(runOf(400, 300), 1)).toBe(25)
    expect(pace.rowsFor(runOf(400, 392), 1)).toBe(20)
  })

  test("what a plugin works on together is not taken apart", () => {
    expect(measured([16, 320]).rowsFor(runOf(100), 8)).toBe(8)
    expect(measured().rowsFor(runOf(100), 64)).toBe(64)
  })

  test("very many slow rows do not become a file of documents for each few", () => {
    expect(measured([16, 32]).rowsFor(runOf(MANY), 1)).toBe(1_000)
  })

  test("other collections, code and parameters are measured by themselves", () => {
    const pace = measured([16, 32])
    expect(pace.rowsFor(runOf(100, 0, { collection_id: "col_2" }), 1)).toBe(16)
    expect(pace.rowsFor(runOf(100, 0, { code_hash: "1" }), 1)).toBe(16)
    expect(pace.rowsFor(runOf(100, 0, { parameters: { model: "large" } }), 1)).toBe(16)
  })
})

describe("cut at the lease", () => {
  test("a partition is leased with so many of its rows, and the others wait", () => {
    const book = openLedger()
    book.leaseAtMost(4)
    const id = book.start(book.source(), 10, 100)
    const ranges: number[][] = []
    for (let partition = book.ledger.lease(); partition !== null; partition = book.ledger.lease()) {
      ranges.push([
        partition.first_ordinal,
        partition.end_ordinal,
        partition.rows_in,
        partition.attempt,
        partition.deaths,
      ])
      expect(book.commit(partition, 1)).toBeTrue()
    }
    expect(ranges).toEqual([
      [0, 4, 4, 1, 0],
      [4, 8, 4, 1, 0],
      [8, 10, 2, 1, 0],
    ])
    expect(book.counts(id)).toEqual([10, 7, 3, 0])
    expect(book.row(id).status).toBe("COMPLETED_WITH_ERRORS")
  })

  test("one that was given back may be cut further, and its lost lease commits nothing", () => {
    const book = openLedger()
    const id = book.start(book.source(), 10, 100)
    const first = leased(book.ledger.lease())
    book.ledger.recover()
    book.leaseAtMost(3)
    const second = leased(book.ledger.lease())
    expect([second.partition_id, second.rows_in, second.attempt]).toEqual([first.partition_id, 3, 2])
    expect(book.commit(first)).toBeFalse()
    expect(book.commit(second)).toBeTrue()
    expect(book.counts(id)).toEqual([10, 3, 0, 0])
    book.leaseAtMost(100)
    expect(book.commit(leased(book.ledger.lease()))).toBeTrue()
    expect(book.counts(id)).toEqual([10, 10, 0, 0])
  })

  test("rows of a retry are cut by their number, however far apart they are", () => {
    const book = openLedger()
    const bucket = book.source()
    const id = book.start(bucket, 40, 10)
    for (let partition = book.ledger.lease(); partition !== null; partition = book.ledger.lease()) {
      expect(book.commit(partition, 2)).toBeTrue()
    }
    book.leaseAtMost(1)
    book.batches.retry(book.namespace, bucket, id, {})
    const ordinals: (number[] | null)[] = []
    for (let partition = book.ledger.lease(); partition !== null; partition = book.ledger.lease()) {
      ordinals.push(book.metadata.read.partitions.ordinals(partition))
      expect(book.commit(partition)).toBeTrue()
    }
    expect(ordinals).toEqual([[0], [1], [10], [11], [20], [21], [30], [31]])
    expect(book.counts(id)).toEqual([40, 40, 0, 0])
  })
})

describe("on the appliance", () => {
  let appliance: TestAppliance
  beforeAll(async () => {
    appliance = await startTestAppliance({ environment: { MIXPEEK_WORKERS: String(WORKERS) } })
    for (const [name, seconds] of [
      ["slow", 0.05],
      ["cheap", 0],
    ] as const) {
      const call = `time.sleep(${seconds} * len(batch))
batch["${name}_embedding"] = [[1.0, 0.0, 0.0, 1.0] for _ in batch["text"]]
batch["label"] = str(os.getpid())
return batch`
      await published(appliance, { name, call })
    }
  })
  afterAll(() => appliance[Symbol.asyncDispose]())

  /** Rows of the batch's partitions in the order of their leases. */
  const partitionsOf = (path: string): number[] => {
    using database = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
    return database
      .query<{ rows: number }, [string]>("SELECT rows_in AS rows FROM partitions WHERE batch_id = ? ORDER BY leased_at")
      .all(path.split("/").at(-1) ?? "")
      .map(({ rows }) => rows)
  }

  test("a slow plugin has both workers and is told of early, a cheap one has large partitions", async () => {
    const { bucket } = await bucketOf(appliance, words(200))
    const slow = await collectionOf(appliance, bucket, "slow")
    const path = await trigger(appliance, bucket, slow)
    const early = await batchOnce(appliance, path, ({ rows_done: done }) => done > 0)
    expect(early.rows_done).toBeLessThan(50)
    const ended = await batchOnce(appliance, path, ({ completed_at: at }) => at !== null)
    expect(counts(ended)).toEqual([200, 200, 0, 0])
    const listed = await appliance.call("POST", `/v1/collections/${slow}/documents/list`, {
      body: { limit: 1000 },
    })
    const shares = Map.groupBy(listed.body.results, (row: { label: string }) => row.label)
    expect(shares.size).toBe(WORKERS)
    for (const rows of shares.values()) expect(rows.length).toBeGreaterThan(50)
    expect(Math.max(...partitionsOf(path))).toBeLessThanOrEqual(50)
  }, 180_000)

  test("a cheap plugin has partitions as large as the plan has them after the first ones", async () => {
    const { bucket } = await bucketOf(appliance, words(2_400))
    const collection = await collectionOf(appliance, bucket, "cheap")
    const path = await trigger(appliance, bucket, collection)
    await batchOnce(appliance, path, ({ completed_at: at }) => at !== null)
    const again = await trigger(appliance, bucket, collection)
    expect(counts(await batchOnce(appliance, again, ({ completed_at: at }) => at !== null))).toEqual([
      2_400, 2_400, 0, 0,
    ])
    expect(partitionsOf(again)).toEqual([500, 500, 500, 500, 400])
  }, 180_000)
})
