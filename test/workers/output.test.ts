import { expect, test } from "bun:test"
import { drainLines, OutputTail } from "../../src/workers/output.ts"
import { ask, startFake } from "./support.ts"

async function drained(chunks: string[], limits: { lineBytes: number; totalBytes: number }) {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk))
      controller.close()
    },
  })
  const tail = new OutputTail()
  const lines: string[] = []
  await drainLines(stream, tail, (text) => lines.push(text), limits).done
  return { lines, tail: tail.toString() }
}

test("lines are joined across chunks, and the last one needs no newline", async () => {
  const { lines } = await drained(["a", "b\nc\n\n", "d"], { lineBytes: 100, totalBytes: 100 })
  expect(lines).toEqual(["ab", "c", "", "d"])
})

test("a long line is cut and marked", async () => {
  const { lines } = await drained(["x".repeat(30), "y\nz\n"], { lineBytes: 10, totalBytes: 100 })
  expect(lines).toEqual([`${"x".repeat(10)} [line of 31 bytes cut]`, "z"])
})

test("after the total, lines are dropped with one notice, and the tail still has the last ones", async () => {
  const { lines, tail } = await drained(["one\ntwo\nthree\nfour\n"], { lineBytes: 100, totalBytes: 8 })
  expect(lines).toEqual(["one", "two", "[output over 8 bytes is not kept]"])
  expect(tail.split("\n").at(-1)).toBe("four")
})

test("escape sequences do not reach whoever shows a line", async () => {
  const { lines } = await drained(["\u001b[31mred\u001b[0m\u0007\t10%\r20%\n"], { lineBytes: 100, totalBytes: 100 })
  expect(lines.join("")).not.toMatch(/(?!\t)\p{Cc}/u)
  expect(lines.join("")).toContain("red")
})

test("both streams of a worker arrive as lines with their stream", async () => {
  await using fake = await startFake()
  await ask(fake.worker, { do: "print", lines: ["one", "two"] })
  await fake.worker.end()
  const of = (stream: string) => fake.lines.filter((line) => line.stream === stream).map((line) => line.text)
  expect(of("stdout")).toEqual(["one", "two"])
  expect(of("stderr")).toEqual(["to stderr"])
})

test("a worker that floods its output without a newline goes on working, and little of it is kept", async () => {
  await using fake = await startFake()
  const bytes = 64 * 1024 * 1024
  expect(await ask(fake.worker, { do: "flood_output", bytes })).toMatchObject({ bytes })
  const { lastOutput } = await fake.worker.end()
  expect(lastOutput.length).toBeLessThan(17 * 1024)
  expect(lastOutput).toContain("bytes cut]")
})
