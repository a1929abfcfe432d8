import { expect, setDefaultTimeout, test } from "bun:test"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { PROCESSES_MS, temporaryDirectory } from "./run.ts"
import { check } from "./small-plugin.ts"

setDefaultTimeout(PROCESSES_MS)

const TEXTS = ["one", "two", "three", "four", "five"]

/** `plugin test` with five rows, in a step of which `body` is run with `batch` and `texts`. */
async function run(body: string, ...args: string[]) {
  await using directory = await temporaryDirectory()
  const rows = join(directory.path, "rows.json")
  await writeFile(rows, JSON.stringify(TEXTS.map((text) => ({ text }))))
  const pipeline = `
import os
import numpy

def crash():
    numpy.lib.stride_tricks.as_strided(numpy.zeros(1), shape=(10**12,), strides=(8,))[10**11] = 1

def step(batch):
    texts = batch["text"].tolist()
    ${body}
    batch["vector"] = [[1.0, 2.0] for _ in texts]
    return batch

def build_steps(extractor_request, **kwargs):
    return {"steps": [step]}
`
  const done = await check({ "pipeline.py": pipeline }, "--sample-data", rows, ...args)
  const sample = done.named("Sample run")
  return { ...done, sample }
}

test("rows that end their worker are named, and the others run", async () => {
  const { sample, code } = await run(`if "two" in texts or "five" in texts: os._exit(7)
    if "four" in texts: raise ValueError("four")`)
  expect(code).toBe(1)
  expect(sample?.summary).toBe("3 of 5 rows failed")
  expect(sample?.findings).toEqual([
    "row 2: WorkerDied: The worker exited with code 7.",
    "row 4: ValueError: four",
    "row 5: WorkerDied: The worker exited with code 7.",
  ])
})

test("a crash in native code is told with the plugin's frames first and without paths of the machine", async () => {
  const { sample } = await run(`if "three" in texts: crash()`)
  expect(sample?.findings).toEqual(["row 3: WorkerDied: The worker was killed by SIGSEGV."])
  expect(sample?.details.slice(0, 3)).toEqual([
    "Fatal Python error: Segmentation fault",
    "pipeline.py, line 10, in step",
    "pipeline.py, line 6, in crash",
  ])
  expect(sample?.details.join("\n")).not.toMatch(/plugin_worker|\/python3|Extension modules/)
})

test("what only several rows at once do passes with a word on it, as it does in a batch", async () => {
  const { sample, code } = await run(`if len(texts) > 1: os._exit(7)`)
  expect(code).toBe(0)
  expect(sample?.summary).toStartWith("5 rows in ")
  expect(sample?.findings[0]).toContain("with several rows at once it failed, with one a call it did not: WorkerDied")
})

test("after three deaths the rest of the rows is not tried, and counted", async () => {
  const { sample } = await run(`os._exit(7)`)
  expect(sample?.summary).toBe("3 of 5 rows failed")
  expect(sample?.findings.at(-1)).toBe("2 rows not tried after these")
})

test("of what a plugin prints without end the newest lines are kept", async () => {
  const { sample } = await run(`for number in range(3000): print("number", number)`)
  expect(sample?.status).toBe("passed")
  const lines = sample?.details.filter((line) => line.startsWith("| ")) ?? []
  expect(lines[0]).toBe("| … the last 1000 of 3000 lines printed")
  expect(lines.at(-1)).toBe("| number 2999")
})
