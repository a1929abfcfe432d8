/**
 * Three processes over the same files, in turns: our scan (as one plugin), `bandit -r`, and `ast.parse` with
 * `ast.walk`. Each is measured whole, start included, by the CPU time the system charges it. With `--scan FOLDER` it is the
 * first of the three itself.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { SCAN_ENVIRONMENT } from "../src/plugins/scan-process.ts"
import { scanFiles } from "../src/validator/scan.ts"

const ROOT = resolve(import.meta.dir, "..")
const RUNS = 5
const AST_WALK = `
import ast, pathlib, sys
nodes = 0
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.py")):
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        continue
    for node in ast.walk(tree):
        nodes += 1
print(nodes)
`

const [first = "300", folder] = process.argv.slice(2)
if (first === "--scan" && folder !== undefined) await scanFolder(folder)
else await compare(Number(first))

async function scanFolder(path: string): Promise<void> {
  const files = pythonFiles(path).map((file) => [file, readFileSync(join(path, file))] as const)
  const scan = scanFiles(new Map(files), { strict: false })
  const violations = scan.passed ? scan.warnings : scan.violations
  const unread = violations.filter(({ message }) => message.startsWith("Too "))
  if (unread.length > 0) throw new Error(`not all was scanned: ${unread[0]?.file} ${unread[0]?.message}`)
  console.log(violations.length)
}

async function compare(count: number): Promise<void> {
  if (!Number.isInteger(count) || count < 1) {
    console.error("bench-scan takes a whole number of files")
    process.exit(2)
  }
  const asked = Bun.spawnSync(["python3", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"])
  const library = asked.stdout.toString().trim()
  const files = pythonFiles(library)
    .filter((file) => !/(?:^|\/)(?:site-packages|dist-packages)\//.test(file))
    .slice(0, count)
  const copy = mkdtempSync(join(tmpdir(), "mixpeek-bench-scan-"))
  try {
    let lines = 0
    for (const file of files) {
      mkdirSync(join(copy, dirname(file)), { recursive: true })
      cpSync(join(library, file), join(copy, file))
      lines += readFileSync(join(copy, file), "latin1").split("\n").length - 1
    }
    console.log(`${files.length} files of the standard library, ${lines} lines; the best of ${RUNS} runs, CPU seconds`)
    // In turns, so that what else the machine does meets all three alike.
    let [scan, walk, bandit] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
    for (let run = 0; run < RUNS; run++) {
      scan = Math.min(scan, await cpuSeconds([process.execPath, join(ROOT, "scripts/bench-scan.ts"), "--scan", copy]))
      walk = Math.min(walk, await cpuSeconds(["python3", "-c", AST_WALK, copy]))
      bandit = Math.min(
        bandit,
        await cpuSeconds([join(ROOT, "dist/bandit/bin/bandit"), "-r", "-q", "-f", "json", copy]),
      )
    }
    const row = (name: string, seconds: number) =>
      console.log(
        `${name.padEnd(9)} ${seconds.toFixed(2).padStart(7)} s ${Math.round(lines / seconds)
          .toString()
          .padStart(9)} lines/s`,
      )
    row("scan", scan)
    row("ast walk", walk)
    row("bandit", bandit)
    console.log(`scan is ${(bandit / scan).toFixed(1)} times as fast as bandit (10 wanted)`)
    console.log(`scan is ${(walk / scan).toFixed(2)} times as fast as the ast walk (1 wanted)`)
    if (bandit / scan < 10 || walk / scan < 1) process.exitCode = 1
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function pythonFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".py"))
    .sort()
}

/** Of one run, the system's share included. bandit answers 1 when it found something. */
async function cpuSeconds(command: string[]): Promise<number> {
  const child = Bun.spawn(command, { env: { ...process.env, ...SCAN_ENVIRONMENT }, stdout: "ignore", stderr: "pipe" })
  const [errors, code] = await Promise.all([new Response(child.stderr).text(), child.exited])
  if (code > 1 || (code === 1 && !command[0]?.endsWith("bandit"))) throw new Error(`${command[0]} failed: ${errors}`)
  return Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1e6
}
