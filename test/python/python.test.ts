import { expect, test } from "bun:test"
import { runUnittests } from "../support/python.ts"

test("the Python side passes its own tests on real workers", async () => {
  const { ran, code, report } = await runUnittests(import.meta.dir, import.meta.dir)
  expect(ran).toBeGreaterThan(50)
  if (code !== 0) throw new Error(report)
}, 900_000)
