/** A worker's files of row errors, as an attacker writes them: refused at their first wrong line, however long they are. */
import { expect, test } from "bun:test"
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { collectOutput, HostileOutput } from "../../src/batches/collect.ts"

async function collected(errors: string | Uint8Array) {
  const directory = mkdtempSync(join(tmpdir(), "collect-test-"))
  try {
    const [output, copies] = [join(directory, "output"), join(directory, "copies")]
    for (const path of [output, copies]) mkdirSync(path)
    writeFileSync(join(output, "scalars.parquet"), "")
    writeFileSync(join(output, "errors.jsonl"), errors)
    return await collectOutput(output, copies, [], { asked: 2, rows: 10, bytes: 1024 ** 3 })
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

test("more errors than rows are no errors of this partition", async () => {
  await expect(collected([1, 2, 3].map((row) => line(row, "no")).join("\n"))).rejects.toThrow("more than the 2 rows")
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

/** What a worker can leave for its vectors, each refused before anything reads it. */
test.each<[string, (output: string, elsewhere: string) => void, RegExp]>([
  ["nothing", () => {}, /no plain file '0.f32'/],
  ["a link", (output, elsewhere) => symlinkSync(elsewhere, join(output, "0.f32")), /no plain file '0.f32'/],
  ["a second name", (output, elsewhere) => linkSync(elsewhere, join(output, "0.f32")), /more than one name/],
  ["a directory", (output) => mkdirSync(join(output, "0.f32")), /not a regular file/],
  ["too much", (output) => writeFileSync(join(output, "0.f32"), new Uint8Array(81)), /81 bytes; at most 80/],
  [
    "a directory of another",
    (output, elsewhere) => {
      rmSync(output, { recursive: true })
      symlinkSync(join(elsewhere, ".."), output)
    },
    /no directory/,
  ],
])("%s in place of vectors is refused", async (_what, leave, reason) => {
  const directory = mkdtempSync(join(tmpdir(), "collect-test-"))
  try {
    const [output, copies, others] = ["output", "copies", "others"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ]
    for (const path of [output, copies, others]) mkdirSync(path)
    for (const path of [output, others]) {
      writeFileSync(join(path, "scalars.parquet"), "")
      writeFileSync(join(path, "errors.jsonl"), "")
    }
    writeFileSync(join(others, "0.f32"), new Uint8Array(8))
    leave(output, join(others, "0.f32"))
    const features = [{ feature_name: "e", embedding_dim: 2 }]
    await expect(collectOutput(output, copies, features, { asked: 2, rows: 10, bytes: 1024 ** 3 })).rejects.toThrow(
      reason,
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})
