import { expect, test } from "bun:test"
import { standardLibrary } from "../../scripts/differential.ts"
import { fuzz } from "../../scripts/fuzz-scan.ts"

test("twenty seconds of bytes and mutated Python neither break nor delay the scan, nor stay in memory", async () => {
  const { inputs, broken } = await fuzz({ seconds: 20, seed: 20, files: standardLibrary() })
  expect(broken).toBeNull()
  expect(inputs).toBeGreaterThan(100)
}, 180_000)
