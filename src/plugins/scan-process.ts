/**
 * The scan of an uploaded plugin, beside the appliance: while a file made to be slow is read, other requests are answered,
 * and a scan that does not end is ended.
 */
import type { Scan } from "../validator/scan.ts"
import type { ScanLine, ScanRequest } from "./scan-child.ts"

/**
 * The scan is over before code compiled by the last tier pays: without it 104,511 lines take 1.05 CPU seconds, not 1.59,
 * and are read as fast. The names are those of JavaScriptCore's options; Bun hands them on.
 */
export const SCAN_ENVIRONMENT = { BUN_JSC_useFTLJIT: "0", BUN_JSC_thresholdForOptimizeAfterWarmUp: "4000" } as const

interface Options {
  /** argv of the child, a program that calls `runScanProcess`. */
  readonly command: readonly string[]
  /** From its start; a plugin of the largest size takes some seconds on one slow core. */
  readonly deadlineMs: number
  /** Each process that was started, so that one that hangs can be ended after our own death; answers what to do at its end. */
  readonly onSpawn: (pid: number) => () => void
}

/**
 * Scans in a new process, which is gone when this settles. A plugin that takes longer than the deadline is refused as too
 * complex, by the file that was being read.
 * @throws Error when the process ends without a report
 */
export function scanProcess({ command, deadlineMs, onSpawn }: Options) {
  return async (request: ScanRequest): Promise<Scan> => {
    const child = Bun.spawn([...command], {
      env: { PATH: "/usr/bin:/bin", ...SCAN_ENVIRONMENT },
      stdio: [new Blob([JSON.stringify(request)]), "pipe", "pipe"],
      // Its own group: an interrupt typed at a terminal is for the appliance, which waits for the scan.
      detached: true,
    })
    const ended = onSpawn(child.pid)
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill("SIGKILL")
    }, deadlineMs)
    try {
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ])
      const { scan, file } = readLines(output)
      if (scan !== null) return scan
      if (late) return tooComplex(request, file ?? request.paths[0] ?? "manifest.py")
      const how = child.signalCode ?? `exit code ${child.exitCode}`
      throw new Error(`The scan ended without a report (${how}) at ${file}: ${errors.slice(0, 2000)}`)
    } finally {
      clearTimeout(timer)
      ended()
    }
  }
}

/** The last line may be half there when the process was ended. */
function readLines(output: string): { scan: Scan | null; file: string | null } {
  let file: string | null = null
  for (const text of output.split("\n").slice(0, -1)) {
    const line: ScanLine = JSON.parse(text)
    if ("scan" in line) return { scan: line.scan, file }
    file = line.file
  }
  return { scan: null, file }
}

function tooComplex({ options }: ScanRequest, file: string): Scan {
  const message = "Too complex: the code cannot be read within its budget. Keep data out of the code"
  return {
    passed: false,
    ruleSet: options.ruleSet,
    notes: [],
    violations: [{ file, line: 1, column: 0, message, severity: "error" }],
  }
}
