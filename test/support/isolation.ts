/** What this machine can confine, asked once: tests judge by it, and say so when it is less than the product demands. */
import { realpathSync } from "node:fs"
import { join } from "node:path"
import type { IsolationLevel } from "../../src/isolation-levels.ts"
import { isBelow } from "../../src/isolation-levels.ts"

const PROBE = join(import.meta.dir, "../../src/python/plugin_worker/isolation_probe.py")

export const REACHED: IsolationLevel = probe()

/** Empty where plugins run as they should; elsewhere tests of other things still run, and it is said. */
export const ISOLATION_ENVIRONMENT: Readonly<Record<string, string>> = isBelow(REACHED, "standard")
  ? { MIXPEEK_MINIMUM_ISOLATION: REACHED }
  : {}

if (isBelow(REACHED, "standard")) {
  console.warn(`NOTE: this machine isolates plugin code at '${REACHED}' only; tests set the minimum to that.`)
}

function probe(): IsolationLevel {
  // A shim would start another program in the middle of the probe.
  const python = Bun.spawnSync(["python3", "-c", "import sys; print(sys.executable)"]).stdout.toString().trim()
  const { stdout, stderr } = Bun.spawnSync([realpathSync(python), "-I", "-S", "-B", PROBE, "99", "1"])
  try {
    return JSON.parse(stdout.toString()).level
  } catch (cause) {
    throw new Error(`the isolation probe failed: ${stderr.toString()}`, { cause })
  }
}
