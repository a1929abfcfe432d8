/**
 * The gate. Runs every check, then the tests on the compiled binary, and trusts no exit code alone: the runner's report
 * must name every test file on disk, since a test that ends the process makes the runner stop green with files unrun.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join, resolve } from "node:path"
import { operationsTable } from "./operations-table.ts"
import { readCases } from "./test-report.ts"

const ROOT = resolve(import.meta.dir, "..")
const BUN = process.execPath
const REPORT = join(ROOT, "dist/test-report.xml")
/** Written by test/http/operations.test.ts from /openapi.json. */
const OPERATIONS = join(ROOT, "dist/operations.json")
const DATA = join(ROOT, "dist/test-data")
const narrowed = process.argv.slice(2)

interface Tally {
  passed: number
  failed: number
  skipped: string[]
}

const tally: Tally = { passed: 0, failed: 0, skipped: [] }

mkdirSync(join(ROOT, "dist"), { recursive: true })
check("types", ["node_modules/.bin/tsc", "--noEmit"])
check("lint", ["node_modules/.bin/biome", "ci", "--error-on-warnings", "."])
const built = check("build", [BUN, "scripts/build.ts"])
const environment = built && check("base environment", ["dist/mixpeek", "runtime", "setup", "--data", DATA])
if (environment) runTests()
else fail("tests did not run: the binary or its environment is missing")

for (const skip of tally.skipped) console.log(`skipped: ${skip}`)
const skips = tally.skipped.length === 0 ? "" : `, ${tally.skipped.length} skipped`
console.log(`${tally.passed} passed, ${tally.failed} failed${skips}`)
process.exit(tally.failed === 0 ? 0 : 1)

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
  tally.failed++
  console.log(`FAILED: ${what}`)
}

function runTests(): void {
  rmSync(REPORT, { force: true })
  rmSync(OPERATIONS, { force: true })
  const { exitCode } = Bun.spawnSync(
    [BUN, "test", "--timeout", "60000", "--reporter=junit", `--reporter-outfile=${REPORT}`, ...narrowed],
    {
      cwd: ROOT,
      stdout: "inherit",
      stderr: "inherit",
      env: { ...process.env, MIXPEEK_BINARY: join(ROOT, "dist/mixpeek"), MIXPEEK_TEST_DATA: DATA },
    },
  )
  if (!existsSync(REPORT)) {
    fail(`the test runner left no report (exit ${exitCode})`)
    return
  }
  const report = readFileSync(REPORT, "utf8")
  const cases = readCases(report)
  for (const { file, name, outcome, reason } of cases) {
    if (outcome === "passed") tally.passed++
    else if (outcome === "skipped")
      tally.skipped.push(`${file}: ${name}${reason === "" ? " (no reason given)" : ` (${reason})`}`)
    else fail(`${file}: ${name}`)
  }
  if (cases.length === 0) fail("no test ran")
  if (exitCode !== 0 && tally.failed === 0) fail(`the test runner ended with ${exitCode}`)
  if (narrowed.length === 0) {
    const ran = new Set(cases.map((item) => item.file))
    for (const file of new Bun.Glob("test/**/*.test.ts").scanSync(ROOT)) {
      if (!ran.has(file)) fail(`${file} did not run`)
    }
    checkOperations(report)
  }
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
