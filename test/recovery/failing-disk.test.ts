import { afterEach, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { failLandings, writeDurably } from "../../src/write-durably.ts"
import { startTestAppliance } from "../support/appliance.ts"

const directory = mkdtempSync(join(tmpdir(), "mixpeek-failing-disk-"))
afterEach(() => {
  failLandings(null)
  rmSync(directory, { recursive: true, force: true })
})

test("of a landing that fails, nothing partial is left; whole it is there or not at all", async () => {
  failLandings({ code: "EIO", rate: 1 })
  const outcomes = new Set<string>()
  // Half of the failures come before the rename, half of those left after it: all three outcomes within 200 tries.
  for (let attempt = 0; attempt < 200; attempt++) {
    const path = join(directory, `file-${attempt}`)
    const code = await writeDurably(path, (file) => file.writeFile("whole")).then(
      () => "landed",
      (error) => error.code,
    )
    outcomes.add(`${code}${existsSync(path) ? ", there" : ""}`)
    if (existsSync(path)) expect(await Bun.file(path).text()).toBe("whole")
  }
  expect([...outcomes].sort()).toEqual(["EIO", "EIO, there", "landed, there"])
  expect(readdirSync(directory).filter((name) => name.endsWith(".partial"))).toEqual([])
})

test("a server that is to fail on purpose does not start unless that was asked for twice, and says so", async () => {
  const environment = { MIXPEEK_FAULT_INJECTION: "land:EIO:0.5" }
  await expect(startTestAppliance({ environment })).rejects.toThrow(/MIXPEEK_FAULT_INJECTION makes this server fail/)
  const MIXPEEK_ALLOW_FAULT_INJECTION = "1"
  await expect(
    startTestAppliance({ environment: { MIXPEEK_FAULT_INJECTION: "land:EIO:2", MIXPEEK_ALLOW_FAULT_INJECTION } }),
  ).rejects.toThrow(/it takes land:EIO:RATE/)
})
