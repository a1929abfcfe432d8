/**
 * The gate. Runs every check, then the tests on the compiled binary, and trusts no exit code alone: the runner's report
 * must hold cases of every test file on disk, since a test that ends the process makes the runner stop green.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join, resolve } from "node:path"
import { operationsTable } from "./operations-table.ts"
import { readCases } from "./test-report.ts"

const ROOT = resolve(import.meta.dir, "..")
const BUN = process.execPath
const REPORT = join(ROOT, "dist/test-report.xml")
/** One a file, as the runners leave them. */
const REPORTS = join(ROOT, "dist/test-reports")
/** Of one test; not what it may take, which depends on who else has the machine's cores, but when it will not end. */
const HANGS_MS = 180_000
/** Characters of why a test failed, in the list at the end. */
const MAX_REASON = 1_500
const MAX_RUNNERS = 4
const RUNNERS = Math.min(MAX_RUNNERS, availableParallelism())
/** Folders and files whose tests take longest: what begins last must be short. */
const LONGEST_FIRST = [
  "test/recovery/",
  "test/python/",
  "test/batches/",
  "test/isolation/",
  "test/deployments/",
  "test/http/",
  "test/cli/",
  "test/plugins-sample/",
  "test/workers/",
  "test/plugins/",
]
/** Written by test/http/operations.test.ts from /openapi.json. */
const OPERATIONS = join(ROOT, "dist/operations.json")
const DATA = join(ROOT, "dist/test-data")
const narrowed = process.argv.slice(2)

interface Tally {
  passed: number
  failed: string[]
  skipped: string[]
}

const tally: Tally = { passed: 0, failed: [], skipped: [] }

mkdirSync(join(ROOT, "dist"), { recursive: true })
process.env.PATH = withoutShims(process.env.PATH ?? "")
check("types", ["node_modules/.bin/tsc", "--noEmit"])
check("lint", ["node_modules/.bin/biome", "ci", "--error-on-warnings", "."])
const built = check("build", [BUN, "scripts/build.ts"])
const environment = built && check("base environment", ["dist/mixpeek", "runtime", "setup", "--data", DATA])
if (environment) await runTests()
else fail("tests did not run: the binary or its environment is missing")

for (const skip of tally.skipped) console.log(`skipped: ${skip}`)
// Once more where a log that was cut still has them.
for (const failure of tally.failed) console.log(`FAILED: ${failure}`)
const skips = tally.skipped.length === 0 ? "" : `, ${tally.skipped.length} skipped`
console.log(`${tally.passed} passed, ${tally.failed.length} failed${skips}`)
process.exit(tally.failed.length === 0 ? 0 : 1)

/**
 * Links to the Pythons that shims of pyenv lead to, in place of the shims: each is a shell or two, some tenths of a second at
 * each of the hundreds of starts of an appliance that look at all Pythons.
 */
function withoutShims(path: string): string {
  const directories = path.split(":")
  const shims = directories.find((directory) => directory.endsWith("/.pyenv/shims"))
  if (shims === undefined) return path
  const links = join(ROOT, "dist/pythons")
  rmSync(links, { recursive: true, force: true })
  mkdirSync(links)
  for (const name of readdirSync(shims)) {
    if (!/^python(3(\.\d+)?)?$/.test(name)) continue
    const asked = Bun.spawnSync([join(shims, name), "-c", "import os, sys; print(os.path.realpath(sys.executable))"])
    if (asked.exitCode === 0) symlinkSync(asked.stdout.toString().trim(), join(links, name))
  }
  return directories.map((directory) => (directory === shims ? links : directory)).join(":")
}

function check(name: string, command: string[]): boolean {
  const started = performance.now()
  const { exitCode } = Bun.spawnSync(command, { cwd: ROOT, stdout: "inherit", stderr: "inherit" })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  if (exitCode === 0) {
    tally.passed++
    console.log(`ok: ${name} (${seconds} s)`)
    return true
  }
  fail(`${name} (exit ${exitCode}, ${seconds} s)`)
  return false
}

function fail(what: string): void {
  tally.failed.push(what)
  console.log(`FAILED: ${what}`)
}

/** Each file by a runner of its own, as many at once as there are cores, the long ones first: most wait for processes. */
async function runTests(): Promise<void> {
  rmSync(REPORTS, { recursive: true, force: true })
  mkdirSync(REPORTS, { recursive: true })
  rmSync(OPERATIONS, { force: true })
  const files = testFiles()
  if (files.length === 0) fail("no test file fits")
  const waiting = files.toSorted((one, other) => place(one) - place(other) || one.localeCompare(other))
  const reports: string[] = []
  const runner = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) reports.push(await runFile(file))
  }
  await Promise.all(Array.from({ length: RUNNERS }, runner))
  const report = reports.join("\n")
  writeFileSync(REPORT, report)
  for (const { file, name, outcome, reason } of readCases(report)) {
    if (outcome === "passed") tally.passed++
    else if (outcome === "skipped")
      tally.skipped.push(`${file}: ${name}${reason === "" ? " (no reason given)" : ` (${reason})`}`)
    else fail(`${file}: ${name}\n  ${reason.trimEnd().slice(0, MAX_REASON).replaceAll("\n", "\n  ")}`)
  }
  if (narrowed.length === 0) checkOperations(report)
}

function testFiles(): string[] {
  const all = [...new Bun.Glob("test/**/*.test.ts").scanSync(ROOT)]
  return narrowed.length === 0 ? all : all.filter((file) => narrowed.some((part) => file.includes(part)))
}

function place(file: string): number {
  const found = LONGEST_FIRST.findIndex((folder) => file.startsWith(folder))
  return found === -1 ? LONGEST_FIRST.length : found
}

/** Answers its report; a file that leaves none, or no case in it, has failed. */
async function runFile(file: string): Promise<string> {
  const path = join(REPORTS, `${file.replaceAll("/", "-")}.xml`)
  const started = performance.now()
  const child = Bun.spawn(
    [BUN, "test", "--timeout", String(HANGS_MS), "--reporter=junit", `--reporter-outfile=${path}`, `./${file}`],
    {
      cwd: ROOT,
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, MIXPEEK_BINARY: join(ROOT, "dist/mixpeek"), MIXPEEK_TEST_DATA: DATA },
    },
  )
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const exitCode = await child.exited
  console.log(`${out}${err}${file}: ${((performance.now() - started) / 1000).toFixed(1)} s`)
  const report = existsSync(path) ? readFileSync(path, "utf8") : ""
  const cases = readCases(report)
  if (cases.length === 0) fail(`${file} did not run (exit ${exitCode})`)
  else if (exitCode !== 0 && cases.every(({ outcome }) => outcome !== "failed")) {
    fail(`the runner of ${file} ended with ${exitCode}`)
  }
  return report
}

/** No route without a test: each missing cell of the table counts as failed. */
function checkOperations(report: string): void {
  if (!existsSync(OPERATIONS)) {
    fail("no list of the operations that are served")
    return
  }
  const { lines, missing } = operationsTable(report, JSON.parse(readFileSync(OPERATIONS, "utf8")))
  for (const line of lines) console.log(line)
  for (const cell of missing) fail(`no passed test of ${cell}`)
}
