import { expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { REACHED } from "../support/isolation.ts"

test.skipIf(REACHED !== "full" && REACHED !== "standard")(
  "the documents process reaches parts and spool, and no secret, no other file, no network and no program",
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "mixpeek-confined-"))
    try {
      mkdirSync(join(dataDir, "spool"))
      writeFileSync(join(dataDir, "spool", "input"), "rows")
      writeFileSync(join(dataDir, "secrets.key"), "secret")
      writeFileSync(join(dataDir, "metadata.sqlite"), "rows")
      const child = Bun.spawn(
        [process.execPath, join(import.meta.dir, "fixtures/confined.ts"), "documents-process", dataDir],
        { env: { PATH: "/usr/bin:/bin" }, stdout: "pipe", stderr: "pipe" },
      )
      const said = await new Response(child.stdout).text()
      expect(await new Response(child.stderr).text()).toBe("")
      const { network, ...rest } = JSON.parse(said)
      expect(rest).toEqual({
        secret: "EACCES",
        secretAside: "EACCES",
        metadata: "EACCES",
        host: "EACCES",
        list: "EACCES",
        program: "EACCES",
        documents: "done",
        spool: "done",
      })
      // Kernels before 6.7 know no rules for the network.
      expect(["EACCES", "EPERM", "ECONNREFUSED"]).toContain(network)
      expect(readFileSync(join(dataDir, "metadata.sqlite"), "utf8")).toBe("rows")
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
  },
)
