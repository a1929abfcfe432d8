/** A worker's files of row errors, as an attacker writes them: refused at their first wrong line, however long they are. */
import { expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { collectOutput, HostileOutput } from "../../src/batches/collect.ts"

const ROWS = new Map([
  [1, "obj_1"],
  [2, "obj_2"],
])

async function collected(errors: string | Uint8Array) {
  const directory = mkdtempSync(join(tmpdir(), "collect-test-"))
  try {
    const [output, copies] = [join(directory, "output"), join(directory, "copies")]
    for (const path of [output, copies]) mkdirSync(path)
    writeFileSync(join(output, "scalars.parquet"), "")
    writeFileSync(join(output, "errors.jsonl"), errors)
    return await collectOutput(output, copies, [], ROWS, { rows: 10, bytes: 1024 ** 3 })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const line = (row: number, message: string) =>
  JSON.stringify({ row, exception: "ValueError", message, error_type: "runtime" })

test("each line is a row's error, wherever the file's chunks end", async () => {
  const long = "ü".repeat(8000)
  const { failures } = await collected(`${line(2, long)}\n${line(1, "short")}\n`)
  expect(failures.map(({ row, message }) => [row, message])).toEqual([
    [2, long],
    [1, "short"],
  ])
  expect((await collected("")).failures).toEqual([])
})

test.each<[string, Uint8Array]>([
  ["newlines without end", new Uint8Array(64 * 1024 ** 2).fill(10)],
  ["one line without end", new Uint8Array(64 * 1024 ** 2).fill(32)],
])("%s are refused at once", async (_what, bytes) => {
  const before = process.memoryUsage().rss
  await expect(collected(bytes)).rejects.toThrow(HostileOutput)
  // The test's own 64 MiB, and what writes and copies them.
  expect(process.memoryUsage().rss - before).toBeLessThan(400 * 1024 ** 2)
})
