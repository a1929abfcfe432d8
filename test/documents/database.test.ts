import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Database, openDatabase } from "../../src/documents/database.ts"
import { Parameters } from "../../src/documents/parameters.ts"

/** Some seconds of one thread, and of as many as there are. */
const LONG = "SELECT count(*) FROM range(40000) a, range(40000) b WHERE (a.range * b.range) % 7 = 8"
const SHORT = "CREATE OR REPLACE TEMP TABLE t AS SELECT range AS i FROM range(100000)"

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "database-"))
})
afterAll(() => rm(directory, { recursive: true }))

function database(threads: number): Promise<Database> {
  return openDatabase({
    memoryLimitMb: 256,
    threads,
    temporaryDir: join(directory, String(threads)),
    directories: [directory],
  })
}

test.each([1, 2])(
  "with %d threads a statement that is waited for does its work, takes values and tells its error",
  async (threads) => {
    const { session } = await database(threads)
    await session(10_000, async ({ run, rows }) => {
      await run(SHORT)
      const parameters = new Parameters()
      await run(`INSERT INTO t SELECT strlen(${parameters.text("some words")})`, parameters)
      expect(await rows("SELECT count(*)::INTEGER AS n, sum(i)::DOUBLE AS sum FROM t")).toEqual([
        { n: 100_001, sum: 4_999_950_010 },
      ])
      await expect(run("CREATE TABLE t2 AS SELECT error('of its own') FROM t")).rejects.toThrow(/of its own/)
      await expect(run("SELECT nothing")).rejects.toThrow(/nothing/)
      await run(SHORT)
    })
  },
)

test.each([1, 2])("with %d threads it ends at the deadline, and the next one is answered", async (threads) => {
  const { session } = await database(threads)
  const start = performance.now()
  await expect(session(400, ({ run }) => run(LONG))).rejects.toMatchObject({ type: "TimeoutError" })
  expect(performance.now() - start).toBeLessThan(5_000)
  await session(10_000, ({ run }) => run(SHORT))
})

test("it is done while another's long query has all threads", async () => {
  const { session } = await database(2)
  await session(10_000, ({ run }) => run("CREATE TABLE many AS SELECT range AS i FROM range(1000000)"))
  const long = "SELECT sum(list_sum(range(i % 7 + 3000))) FROM many"
  let longDone = false
  const asked = session(2_000, ({ rows }) => rows(long)).catch((error: unknown) => {
    longDone = true
    return error
  })
  await Bun.sleep(50)
  await session(10_000, ({ run }) => run(SHORT))
  expect(longDone).toBe(false)
  expect(await asked).toMatchObject({ type: "TimeoutError" })
})
