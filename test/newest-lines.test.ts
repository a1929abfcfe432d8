import { expect, test } from "bun:test"
import { newestLines } from "../src/newest-lines.ts"

const texts = (lines: readonly { message: string }[]) => lines.map((line) => line.message)

test("of each key the newest lines stay, by number and by characters, the last one always", () => {
  const lines = newestLines({ lines: 3, characters: 10, keys: 5 })
  lines.open("a")
  for (const message of ["1", "2", "3", "4"]) lines.add("a", { message })
  expect(texts(lines.read("a", 10))).toEqual(["2", "3", "4"])
  expect(texts(lines.read("a", 2))).toEqual(["3", "4"])
  lines.add("a", { message: "nine char" })
  expect(texts(lines.read("a", 10))).toEqual(["4", "nine char"])
  lines.add("a", { message: "far more than ten characters" })
  expect(texts(lines.read("a", 10))).toEqual(["far more than ten characters"])
  expect(lines.read("a", 10, (line) => line.message === "4")).toEqual([])
})

test("of too many keys the one that was written to longest ago goes; one that is not open keeps nothing", () => {
  const lines = newestLines({ lines: 3, characters: 100, keys: 2 })
  for (const key of ["a", "b"]) {
    lines.open(key)
    lines.add(key, { message: key })
  }
  lines.add("a", { message: "again" })
  lines.open("c")
  expect(["a", "b", "c"].map((key) => lines.has(key))).toEqual([true, false, true])
  lines.add("b", { message: "late" })
  expect(lines.read("b", 10)).toEqual([])
  lines.forget("a")
  expect(lines.read("a", 10)).toEqual([])
})
