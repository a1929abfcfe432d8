import { test } from "bun:test"
import { killBuilds } from "./environment-kills.ts"

test("kill -9 in a build leaves nothing that the next start does not clear, and the next confirmation builds", async () => {
  await killBuilds(4, () => undefined)
}, 180_000)
