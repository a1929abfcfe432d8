import { expect, test } from "bun:test"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { type ScanRequest, scanTree } from "../../src/plugins/scan-child.ts"
import { scanProcess } from "../../src/plugins/scan-process.ts"
import { temporaryDirectory } from "../cli/run.ts"
import { commandLine } from "../support/appliance.ts"

const FILES = {
  "manifest.py": "import numpy, unheard_of\n",
  "processors/core.py": "import subprocess\nimport pickle\n",
}

async function treeOf(files: Record<string, string>) {
  const directory = await temporaryDirectory()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory.path, path)), { recursive: true })
    await writeFile(join(directory.path, path), text)
  }
  const request: ScanRequest = {
    tree: directory.path,
    paths: Object.keys(files),
    options: { strict: false, ruleSet: "compat-2026-03", environment: ["numpy"] },
  }
  return { request, [Symbol.asyncDispose]: () => rm(directory.path, { recursive: true, force: true }) }
}

function processOf(command: readonly string[], deadlineMs = 30_000) {
  const pids: number[] = []
  const ended: number[] = []
  const scan = scanProcess({
    command,
    deadlineMs,
    onSpawn(pid) {
      pids.push(pid)
      return () => ended.push(pid)
    },
  })
  return { scan, pids, ended }
}

test("the scan in a process of its own reports what the scan here does", async () => {
  await using tree = await treeOf(FILES)
  const { scan, pids, ended } = processOf([...commandLine(), "scan-process"])
  const report = await scan(tree.request)
  expect(report).toEqual(await scanTree(tree.request))
  expect(report).toMatchObject({ passed: false, ruleSet: "compat-2026-03", notes: [{ file: "manifest.py" }] })
  expect(ended).toEqual(pids)
})

test("a scan that does not end is ended, and the file that was being read is refused as too complex", async () => {
  await using tree = await treeOf(FILES)
  const reading = `echo '{"file":"manifest.py"}'; echo '{"file":"processors/core.py"}'; exec sleep 600`
  const { scan, pids } = processOf(["/bin/sh", "-c", reading], 500)
  expect(await scan(tree.request)).toEqual({
    passed: false,
    ruleSet: "compat-2026-03",
    notes: [],
    violations: [
      {
        file: "processors/core.py",
        line: 1,
        column: 0,
        message: expect.stringContaining("Too complex"),
        severity: "error",
      },
    ],
  })
  expect(() => process.kill(pids[0] ?? 0, 0)).toThrow()
})

test("a scan that ends without a report is our fault and says how it ended", async () => {
  await using tree = await treeOf(FILES)
  const { scan, ended } = processOf(["/bin/sh", "-c", "echo out of luck >&2; kill -9 $$"])
  expect(scan(tree.request)).rejects.toThrow(/SIGKILL.*out of luck/s)
  await scan(tree.request).catch(() => {})
  expect(ended).toHaveLength(2)
})
