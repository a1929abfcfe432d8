import { expect, test } from "bun:test"
import { fuzz } from "../../scripts/fuzz-frames.ts"

test("five seconds of hostile frames and messages are taken or refused as a breach, however the stream is cut", async () => {
  const { taken, refused, broken } = await fuzz({ seconds: 5, seed: 5 })
  expect(broken).toBeNull()
  expect(taken).toBeGreaterThan(100)
  expect(refused).toBeGreaterThan(100)
}, 180_000)
