import { expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { samplePng } from "../../src/cli/sample-media.ts"
import { commandLine, eventually } from "../support/appliance.ts"
import { mixpeek, PROCESSES_MS, preparedData, temporaryDirectory } from "./run.ts"
import { check, MANIFEST, PIPELINE, pluginDirectory } from "./small-plugin.ts"

setDefaultTimeout(PROCESSES_MS)

test("a plugin of two files passes; what it lacks is skipped with a reason", async () => {
  const { code, success, statuses, named } = await check({})
  expect(statuses).toEqual({
    Structure: "passed",
    Manifest: "passed",
    "Security scan": "passed",
    Pipeline: "passed",
    "Sample run": "passed",
    Realtime: "skipped",
    Tests: "skipped",
  })
  expect(named("Realtime")?.summary).toContain("batch only")
  expect({ code, success }).toEqual({ code: 0, success: true })
})

test("each check is one line with its mark, in the order of the list", async () => {
  await using plugin = await pluginDirectory({})
  const { stdout } = await mixpeek(["plugin", "test", "--data", await preparedData(), "--path", plugin.path])
  expect(stdout.split("\n").map((line) => line.slice(0, 16).trim())).toEqual([
    "✓ Structure",
    "✓ Manifest",
    "✓ Security scan",
    "✓ Pipeline",
    "✓ Sample run",
    "– Realtime",
    "– Tests",
    "",
    "7 checks, none f",
    "",
  ])
})

test("1 structure: a missing pipeline.py is named and nothing runs", async () => {
  const { code, statuses, named } = await check({ "pipeline.py": null })
  expect(named("Structure")?.summary).toContain("pipeline.py missing")
  expect(statuses).toEqual({ Structure: "failed" })
  expect(code).toBe(1)
})

test("2 manifest: an exception in it is told with the author's frames", async () => {
  const { code, statuses, named } = await check({ "manifest.py": `${MANIFEST}\nraise RuntimeError("half done")\n` })
  expect(named("Manifest")).toMatchObject({ status: "failed", summary: "RuntimeError: half done" })
  expect(named("Manifest")?.details.join("\n")).toContain("manifest.py")
  expect(statuses.Pipeline).toBe("skipped")
  expect(code).toBe(1)
})

test("2 manifest: what the server would refuse fails here", async () => {
  const { named } = await check({
    "manifest.py": MANIFEST.replace("small_plugin", "9lives").replace("1.0.0", "one"),
  })
  expect(named("Manifest")?.status).toBe("failed")
  expect(named("Manifest")?.findings).toEqual([
    expect.stringContaining("feature_extractor_name '9lives'"),
    expect.stringContaining("version 'one'"),
  ])
  const flat = await check({ "manifest.py": MANIFEST.replace('"embedding_dim": 2', '"embedding_dim": 0') })
  expect(flat.named("Manifest")).toMatchObject({ status: "failed", summary: expect.stringContaining("embedding_dim") })
})

test("2 manifest: feature keys of the old spelling work with a warning that names the right ones", async () => {
  const old = `features = [{"name": "vector", "type": "vector", "dimensions": 2, "distance": "cosine"}]`
  const { named } = await check({ "manifest.py": MANIFEST.replace(/features = .*/, old) })
  expect(named("Manifest")?.status).toBe("passed")
  expect(named("Manifest")?.findings.join("\n")).toContain("feature_name")
})

test("3 scan: an error is told as file:line:column and fails; nothing of the plugin is trusted before it", async () => {
  const { code, named } = await check({ "pipeline.py": `import subprocess\n${PIPELINE}` })
  expect(named("Security scan")?.status).toBe("failed")
  expect(named("Security scan")?.findings).toEqual(["pipeline.py:1:0 Forbidden import: subprocess"])
  expect(code).toBe(1)
})

test("3 scan: a warning is listed and fails nothing, unless --strict", async () => {
  const opening = `import pickle\n${PIPELINE}`
  const lenient = await check({ "pipeline.py": opening })
  expect(lenient.named("Security scan")).toMatchObject({ status: "passed", summary: "1 warning" })
  expect(lenient.named("Security scan")?.findings).toEqual([
    expect.stringMatching(/^pipeline\.py:1:0 warning: .*pickle/),
  ])
  expect(lenient.code).toBe(0)
  expect((await check({ "pipeline.py": opening }, "--strict")).code).toBe(1)
})

test("4 pipeline: build_steps without steps fails and the sample run is skipped", async () => {
  const { code, statuses } = await check({
    "pipeline.py": "def build_steps(extractor_request, **kwargs):\n    return {}\n",
  })
  expect(statuses).toMatchObject({ Pipeline: "failed", "Sample run": "skipped" })
  expect(code).toBe(1)
})

test("4 pipeline: a module that is not installed is named", async () => {
  const { named } = await check({ "pipeline.py": `import no_such_library\n${PIPELINE}` })
  expect(named("Pipeline")?.summary).toContain("no_such_library")
})

test("5 sample run: a declared vector that no step writes fails by its name", async () => {
  const { named } = await check({ "pipeline.py": PIPELINE.replace('batch["vector"]', 'batch["other"]') })
  expect(named("Sample run")).toMatchObject({ status: "failed", summary: "no row has vector" })
})

test("5 sample run: vectors of another length fail", async () => {
  const { named } = await check({ "pipeline.py": PIPELINE.replace("[1.0, 2.0]", "[1.0]") })
  expect(named("Sample run")?.status).toBe("failed")
})

test("5 sample run: rows that raise are told with their exception, and the traceback is there", async () => {
  const { named } = await check({ "pipeline.py": PIPELINE.replace("len(text", "int(text") })
  expect(named("Sample run")).toMatchObject({ status: "failed", summary: "3 of 3 rows failed" })
  expect(named("Sample run")?.findings[0]).toMatch(/^row 1: \w+Error: /)
  expect(named("Sample run")?.findings.at(-1)).toContain("made up from the input schema; --sample-data")
  expect(named("Sample run")?.details.join("\n")).toContain("pipeline.py")
})

test("5 sample run: a plugin that ends its process fails that check and no other", async () => {
  const { code, statuses, named } = await check({
    "pipeline.py": PIPELINE.replace("    batch[", "    import os\n    os._exit(3)\n    batch["),
  })
  expect(named("Sample run")?.status).toBe("failed")
  expect(statuses).toMatchObject({ Manifest: "passed", Pipeline: "passed" })
  expect(code).toBe(1)
})

test("code that the scan refuses is not run, not even to look at it", async () => {
  const { code, statuses } = await check({ "pipeline.py": `import subprocess\n${PIPELINE}` })
  expect(statuses).toMatchObject({
    "Security scan": "failed",
    Manifest: "skipped",
    Pipeline: "skipped",
    Tests: "skipped",
  })
  expect(code).toBe(1)
})

test("5 sample run: --sample-data takes CSV, with quotes and line breaks, and numbers by the schema", async () => {
  await using directory = await temporaryDirectory()
  const csv = join(directory.path, "rows.csv")
  await writeFile(csv, 'text,weight\n"one, ""two""\nthree",1.5\nfour,2\n')
  const manifest = MANIFEST.replace("    text: str\n", "    text: str\n    weight: float\n")
  const pipeline = PIPELINE.replace("[1.0, 2.0] for _ in batch", "[weight + 0.25, 1.0] for weight in batch").replace(
    'batch["text"]]\n    return',
    'batch["weight"]]\n    return',
  )
  const { named, statuses } = await check({ "manifest.py": manifest, "pipeline.py": pipeline }, "--sample-data", csv)
  expect(statuses["Sample run"]).toBe("passed")
  expect(named("Sample run")?.details).toContain("vector: [1.7500, 1.0000] (2 numbers)")
  expect(named("Sample run")?.details).toContain("length: 16")
})

test("5 sample run: --sample-data takes JSON whose binary fields name files beside it", async () => {
  await using directory = await temporaryDirectory()
  await writeFile(join(directory.path, "picture.jpg"), samplePng(0))
  const sample = join(directory.path, "rows.json")
  await writeFile(sample, JSON.stringify([{ image: "picture.jpg" }]))
  const { named } = await check(
    {
      "manifest.py": MANIFEST.replace("text: str", "image: str"),
      "pipeline.py": `import os
from shared.plugins import open_asset

def measure(batch):
    batch["kind"] = batch["mime_type"]
    batch["length"] = [size(url) for url in batch["image"]]
    batch["vector"] = [[1.0, 2.0] for _ in batch["image"]]
    return batch

def size(url):
    with open_asset(url) as path:
        return os.path.getsize(path)

def build_steps(extractor_request, **kwargs):
    return {"steps": [measure]}
`,
    },
    "--sample-data",
    sample,
  )
  expect(named("Sample run")?.details).toContain(`length: ${samplePng(0).byteLength}`)
  expect(named("Sample run")?.details).toContain('kind: "image/png"')
})

for (const [name, content, told] of [
  ["rows.json", "{not json", "is not JSON"],
  ["lines.json", '{"text": "a"}\n{"text": "b"}\n', "one array of objects, not an object a line."],
  ["rows.json", '{"text": "one"}', "is not a JSON array of objects"],
  ["rows.json", "[]", "holds no rows"],
  ["missing.json", null, "is not there"],
] as const) {
  test(`5 sample run: sample data that ${told} is a failure in one line`, async () => {
    await using directory = await temporaryDirectory()
    await using plugin = await pluginDirectory({})
    const sample = join(directory.path, name)
    if (content !== null) await writeFile(sample, content)
    const { code, stderr } = await mixpeek(
      ["plugin", "test", "--data", await preparedData(), "--sample-data", sample],
      {
        cwd: plugin.path,
      },
    )
    expect(stderr.trimEnd()).toMatch(new RegExp(`^mixpeek: .*${told}.*$`))
    expect(code).toBe(1)
  })
}

test("6 realtime: the handler is constructed, and called with the first row of --sample-data", async () => {
  await using directory = await temporaryDirectory()
  const sample = join(directory.path, "rows.json")
  await writeFile(sample, '[{"text": "four"}]')
  const realtime =
    "class RealtimeHandler:\n    def predict(self, request):\n        return {'length': len(request['text'])}\n"
  const constructed = await check({ "realtime.py": realtime })
  expect(constructed.named("Realtime")).toMatchObject({ status: "passed", summary: "RealtimeHandler constructed" })
  const called = await check({ "realtime.py": realtime }, "--sample-data", sample)
  expect(called.named("Realtime")?.details).toContain('{"length":4}')
})

test("6 realtime: a handler that cannot be constructed fails", async () => {
  const { code, named } = await check({
    "realtime.py": "class RealtimeHandler:\n    def __init__(self):\n        raise OSError('no weights')\n",
  })
  expect(named("Realtime")).toMatchObject({ status: "failed", summary: "OSError: no weights" })
  expect(code).toBe(1)
})

test("6 realtime: what a generator yields is its answer, as it is on a server; one that never ends is looked at for a while", async () => {
  await using directory = await temporaryDirectory()
  const sample = join(directory.path, "rows.json")
  await writeFile(sample, '[{"text": "four"}]')
  for (const [asynchronous, loop, pieces] of [
    ["", "for part in (1, 2)", 2],
    ["async ", "for part in (1, 2)", 2],
    ["", "while True", 100],
  ] as const) {
    const realtime = `class RealtimeHandler:\n    ${asynchronous}def predict(self, request):\n        ${loop}: yield {"part": 1}\n`
    const { named } = await check({ "realtime.py": realtime }, "--sample-data", sample)
    expect(named("Realtime")).toMatchObject({ status: "passed", summary: `RealtimeHandler streams ${pieces} pieces` })
  }
})

test("6 realtime: a handler with nothing to be called fails before it is called", async () => {
  const { named } = await check({
    "realtime.py": "class RealtimeHandler:\n    def answer(self, request):\n        return {}\n",
  })
  expect(named("Realtime")?.summary).toBe(
    "InvalidPlugin: RealtimeHandler in realtime.py has no predict, predict_batch or run_inference.",
  )
})

test("what the plugin prints belongs to the check it printed in", async () => {
  const { named } = await check({ "pipeline.py": PIPELINE.replace("    batch[", "    print('working')\n    batch[") })
  expect(named("Sample run")?.details).toContain("| working")
})

test("an interrupt ends the plugin's process and leaves nothing in the temporary directory", async () => {
  await using directory = await temporaryDirectory()
  await using plugin = await pluginDirectory({
    "manifest.py": `import time\nprint("started", flush=True)\ntime.sleep(600)\n`,
  })
  const child = Bun.spawn([...commandLine(), "plugin", "test", "--path", plugin.path, "--data", await preparedData()], {
    env: { PATH: process.env.PATH ?? "", TMPDIR: directory.path },
    stdio: ["ignore", "ignore", "pipe"],
  })
  const worker = await eventually(async () => workersBelow(child.pid)[0])
  child.kill("SIGINT")
  expect(await child.exited).toBe(1)
  expect(await new Response(child.stderr).text()).toContain("Interrupted")
  expect(existsSync(`/proc/${worker}`)).toBe(false)
  expect(await readdir(directory.path)).toEqual([])
})

function workersBelow(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .split(" ")
    .filter((child) => {
      return (
        child !== "" &&
        existsSync(`/proc/${child}/cmdline`) &&
        readFileSync(`/proc/${child}/cmdline`, "utf8").includes("plugin_worker")
      )
    })
}

test("without a Python environment it says what to run, and checks nothing", async () => {
  await using directory = await temporaryDirectory()
  await using plugin = await pluginDirectory({})
  const { code, stderr } = await mixpeek(["plugin", "test", "--data", directory.path], {
    cwd: plugin.path,
    environment: { PATH: "/nonexistent" },
  })
  expect(stderr).toContain("No Python 3.10 to 3.13 was found")
  expect(code).toBe(1)
})

test("a path that is no directory is told", async () => {
  const { code, stderr } = await mixpeek(["plugin", "test", "--path", "/nonexistent/plugin"])
  expect(stderr).toContain("/nonexistent/plugin is no directory")
  expect(code).toBe(1)
})

test("the report of the scan stands whole in --json: what the server answers to the same files", async () => {
  const { code, scan } = await check({ "core.py": "import subprocess\nimport unheard_of\nimport pickle\n" })
  expect(code).toBe(1)
  expect(scan).toEqual({
    rule_set: "seed-2026-01",
    passed: false,
    violations: [
      { file: "core.py", line: 1, column: 0, message: "Forbidden import: subprocess", severity: "error" },
      { file: "core.py", line: 3, column: 0, message: expect.stringMatching(/^Use of pickle/), severity: "warning" },
    ],
    notes: [{ file: "core.py", line: 2, column: 0, message: expect.stringContaining("no module unheard_of") }],
  })
})

test("files that the server would refuse by their name or their first bytes fail the structure", async () => {
  const files = {
    "sitecustomize.py": "x = 1\n",
    "models/start.so": "x",
    "models/start.pth": "import os\n",
    "models/start.bin": "\x7fELF and more",
    "models/weights.pth": "PK\x03\x04 and more",
  }
  const { code, named } = await check(files)
  expect(code).toBe(1)
  expect(named("Structure")).toMatchObject({ status: "failed" })
  expect(named("Structure")?.findings).toHaveLength(4)
})

test("a source file is scanned whatever the case of its ending", async () => {
  const { scan } = await check({ "Core.PY": "import subprocess\n" })
  expect(scan.violations).toEqual([expect.objectContaining({ file: "Core.PY", line: 1 })])
})

test("dependencies are resolved as the server would, and what it would refuse is named", async () => {
  const { named, statuses, code } = await check({ "requirements.txt": "numpy\nsample-nowhere>=2\n" })
  expect(code).toBe(1)
  expect(statuses).toMatchObject({ Manifest: "passed", Dependencies: "failed", "Sample run": "skipped" })
  expect(named("Dependencies")?.findings.join("\n")).toMatch(
    /sample-nowhere >=2 \(sample_nowhere-\*\.whl for cp3\d+, .*required by requirements\.txt:2/,
  )
  const fine = await check({ "requirements.txt": "numpy>=1\n" })
  expect(fine.statuses).toMatchObject({ Dependencies: "passed", "Sample run": "passed" })
})
