/** A worker's files of row errors, as an attacker writes them: refused at their first wrong line, however long they are. */
import { describe, expect, test } from "bun:test"
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { collectHandedOn, collectOutput, HostileOutput } from "../../src/batches/collect.ts"

type HandedOnLimits = Parameters<typeof collectHandedOn>[2]

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

describe("what a step group hands on", () => {
  const limits: HandedOnLimits = { asked: 3, failed: [], bytes: 200 }

  async function handedOn(prepare: (output: string, elsewhere: string) => void, given: HandedOnLimits = limits) {
    const directory = mkdtempSync(join(tmpdir(), "collect-test-"))
    try {
      const [output, copies, elsewhere] = ["output", "copies", "elsewhere"].map((name) => join(directory, name))
      if (output === undefined || copies === undefined || elsewhere === undefined) throw new Error("no paths")
      for (const path of [output, copies]) mkdirSync(path)
      writeFileSync(elsewhere, "another's")
      writeFileSync(join(output, "errors.jsonl"), "")
      prepare(output, elsewhere)
      const { rows, failures } = await collectHandedOn(output, copies, given)
      expect(rows.startsWith(copies)).toBe(true)
      return { rows: readFileSync(rows, "utf8"), failures }
    } finally {
      rmSync(directory, { recursive: true })
    }
  }
  const put = (output: string, errors: string) => {
    writeFileSync(join(output, "rows.arrow"), "rows")
    writeFileSync(join(output, "errors.jsonl"), errors)
  }

  test("is a copy of its rows, and the row errors of this group behind those of the earlier ones", async () => {
    const first = await handedOn((output) => put(output, line(7, "first")))
    expect(first.rows).toBe("rows")
    const second = await handedOn((output) => put(output, line(5, "second")), { ...limits, failed: first.failures })
    expect(second.failures.map(({ row, message }) => [row, message])).toEqual([
      [7, "first"],
      [5, "second"],
    ])
  })

  test("a row fails once, and no more fail in all groups than were asked", async () => {
    const { failures: failed } = await handedOn((output) =>
      put(output, [1, 2].map((row) => line(row, "no")).join("\n")),
    )
    await expect(handedOn((output) => put(output, line(2, "again")), { ...limits, failed })).rejects.toThrow(
      "row 2 twice",
    )
    const more = [3, 4].map((row) => line(row, "no")).join("\n")
    await expect(handedOn((output) => put(output, more), { ...limits, bytes: 1000, failed })).rejects.toThrow(
      "more than the 3 rows",
    )
  })

  test.each<[string, (output: string, elsewhere: string) => void, RegExp]>([
    ["nothing", () => {}, /no plain file 'rows.arrow'/],
    ["a link", (output, elsewhere) => symlinkSync(elsewhere, join(output, "rows.arrow")), /no plain file 'rows.arrow'/],
    ["a second name", (output, elsewhere) => linkSync(elsewhere, join(output, "rows.arrow")), /more than one name/],
    ["a directory", (output) => mkdirSync(join(output, "rows.arrow")), /not a regular file/],
    ["too much", (output) => writeFileSync(join(output, "rows.arrow"), new Uint8Array(201)), /201 bytes; at most 200/],
  ])("%s in place of its rows is refused", async (_what, prepare, why) => {
    await expect(handedOn(prepare)).rejects.toThrow(why)
  })
})
