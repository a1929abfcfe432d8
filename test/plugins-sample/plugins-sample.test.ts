import { expect, test } from "bun:test"
import { mediaPackages } from "../support/media-packages.ts"
import { runUnittests } from "../support/python.ts"

test("the sample plugins pass their tests on real files", async () => {
  const { ran, code, report } = await runUnittests(import.meta.dir, import.meta.dir)
  expect(ran).toBeGreaterThan(50)
  if (code !== 0) throw new Error(report)
}, 600_000)

test("the sample plugins pass them with the libraries that their requirements offer", async () => {
  const environment = { MIXPEEK_TEST_MEDIA_PACKAGES: (await mediaPackages()).packages }
  const { ran, code, report } = await runUnittests(import.meta.dir, import.meta.dir, {
    pattern: "test_[aw]*.py",
    environment,
  })
  expect(ran).toBeGreaterThan(25)
  if (code !== 0) throw new Error(report)
}, 600_000)
