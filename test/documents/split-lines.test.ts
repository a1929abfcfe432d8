import { expect, test } from "bun:test"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { splitLines } from "../../src/documents/split-lines.ts"

test.each([
  ["lines that fit together", "a\nbb\nccc\n", 5, ["a\nbb\n", "ccc\n"]],
  ["a line longer than a piece", `a\n${"x".repeat(30)}\nb\n`, 5, ["a\n", `${"x".repeat(30)}\n`, "b\n"]],
  ["a last line without an end", "aa\nbb\ncc", 4, ["aa\n", "bb\n", "cc"]],
  ["one line without an end", "x".repeat(30), 5, ["x".repeat(30)]],
  ["nothing", "", 5, []],
  ["lines of exactly a piece", "1234\n5678\n", 5, ["1234\n", "5678\n"]],
  [
    "lines across chunks of the file",
    `${"é".repeat(700_000)}\n`.repeat(3),
    2_000_000,
    Array(3).fill(`${"é".repeat(700_000)}\n`),
  ],
])("%s come whole and in order", async (_, text, maxBytes, expected) => {
  const directory = await mkdtemp(join(tmpdir(), "lines-"))
  try {
    const path = join(directory, "lines")
    await writeFile(path, text)
    const pieces: string[] = []
    for await (const piece of splitLines(path, maxBytes)) {
      expect(Bun.file(piece.path).size).toBe(piece.bytes)
      pieces.push(await Bun.file(piece.path).text())
      await rm(piece.path)
    }
    expect(pieces).toEqual(expected)
    expect(await readdir(directory)).toEqual(["lines"])
  } finally {
    await rm(directory, { recursive: true })
  }
})
