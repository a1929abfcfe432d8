import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openCallMark } from "../../src/batches/call-mark.ts"

let directory = ""

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "mixpeek-call-mark-"))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const write = (...numbers: number[]) =>
  writeFile(join(directory, "call"), new Uint8Array(BigUint64Array.from(numbers, BigInt).buffer), { flag: "r+" })

test("what a worker wrote is read when its directory is gone, as that of a dead worker is", async () => {
  await using mark = await openCallMark(directory)
  expect(await mark.read()).toBeNull()
  await write(7, 90, 64, 3)
  await rm(directory, { recursive: true })
  expect(await mark.read()).toEqual({ first: 7, last: 90, rows: 64, calls: 3 })
})

test("what cannot be of a call is told as none", async () => {
  await using mark = await openCallMark(directory)
  for (const numbers of [
    [0, 0, 0, 0],
    [9, 3, 2, 1],
    [3, 9, 0, 1],
    [3, 9, 7, 0],
    [3, 2 ** 60, 7, 1],
  ]) {
    await write(...numbers)
    expect(await mark.read(), numbers.join()).toBeNull()
  }
  await write(3, 9, 7, 1)
  await truncate(join(directory, "call"), 31)
  expect(await mark.read()).toBeNull()
})
