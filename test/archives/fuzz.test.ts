import { expect, test } from "bun:test"
import { fuzz } from "../../scripts/fuzz-archives.ts"

test("five seconds of forged and damaged archives are each taken whole or refused, with nothing strayed or kept", async () => {
  const { inputs, taken, broken } = await fuzz({ seconds: 5, seed: 5 })
  expect(broken).toBeNull()
  expect(taken).toBeGreaterThan(5)
  expect(inputs - taken).toBeGreaterThan(50)
}, 180_000)
