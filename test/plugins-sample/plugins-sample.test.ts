import { expect, test } from "bun:test"
import { runUnittests } from "../support/python.ts"

test("the sample plugins pass their tests on real files", async () => {
  const { ran, code, report } = await runUnittests(import.meta.dir, import.meta.dir)
  expect(ran).toBeGreaterThan(50)
  if (code !== 0) throw new Error(report)
}, 300_000)
