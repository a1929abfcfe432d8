import { existsSync, realpathSync } from "node:fs"
import { dirname, join } from "node:path"
import { z } from "zod"
import { runProgram } from "./run-program.ts"

/** A cold start from a slow disk; a shell script named python3 that waits for input would take for ever. */
const PROBE_TIMEOUT_MS = 15_000

/** Runs in the candidate with -I -S, so in Pythons from 3.4 on: what is asked of `sys` may not be there. */
const PROBE = `
import json, os, sys, sysconfig
facts = {
    "implementation": sys.implementation.name,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "base_prefix": sys.base_prefix,
    "platform": sysconfig.get_platform(),
    "soabi": sysconfig.get_config_var("SOABI") or "",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "pip": False,
}
try:
    import site
    site.main()
    import importlib.util
    facts["pip"] = importlib.util.find_spec("pip") is not None
except Exception:
    pass
print("\\n" + json.dumps(facts))
`

const Facts = z.object({
  implementation: z.string(),
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  executable: z.string(),
  base_prefix: z.string(),
  platform: z.string(),
  soabi: z.string(),
  free_threaded: z.boolean(),
  bits: z.int(),
  pip: z.boolean(),
})
export type InterpreterFacts = z.infer<typeof Facts> & {
  /** The executable behind shims, links and virtual environments. */
  readonly realExecutable: string
}

export type Probe =
  | { readonly ok: true; readonly facts: InterpreterFacts }
  | { readonly ok: false; readonly reason: string }

/** Runs the program and asks it what it is. A program that is no Python is an outcome, not an error. */
export async function probeInterpreter(path: string, pathVariable: string): Promise<Probe> {
  try {
    const result = await runProgram({
      argv: [path, "-I", "-S", "-c", PROBE],
      environment: { PATH: pathVariable, LANG: "C.UTF-8" },
      cwd: "/",
      timeoutMs: PROBE_TIMEOUT_MS,
    })
    if (result.stopped !== null) return { ok: false, reason: `gave no answer within ${PROBE_TIMEOUT_MS / 1000} s` }
    if (result.code !== 0) return { ok: false, reason: `cannot be run: ${firstLine(result.lastOutput)}` }
    const facts = parseFacts(result.stdout)
    if (facts === null) return { ok: false, reason: "cannot be run: it answered something that no Python says" }
    return { ok: true, facts: { ...facts, realExecutable: realExecutable(facts) } }
  } catch (error) {
    return { ok: false, reason: `cannot be run: ${firstLine(error instanceof Error ? error.message : String(error))}` }
  }
}

/** The last line that is an object: `site` and a shim may print before it. */
function parseFacts(lines: readonly string[]): z.infer<typeof Facts> | null {
  try {
    return Facts.parse(JSON.parse(lines.findLast((line) => line.startsWith("{")) ?? ""))
  } catch {
    return null
  }
}

/** Before 3.11 a virtual environment made with --copies names itself as its base; its `base_prefix` is right. */
function realExecutable(facts: z.infer<typeof Facts>): string {
  const named = realpathSync(facts.executable)
  if (!isVirtual(named)) return named
  const [major, minor] = facts.version.split(".")
  return realpathSync(join(facts.base_prefix, "bin", `python${major}.${minor}`))
}

/** As Python looks for it (getpath): beside the executable, links not followed, or above. */
export function isVirtual(executable: string): boolean {
  const folder = dirname(executable)
  return [folder, dirname(folder)].some((place) => existsSync(join(place, "pyvenv.cfg")))
}

function firstLine(text: string): string {
  return (
    text
      .split("\n")
      .find((line) => line.trim() !== "")
      ?.trim()
      .slice(0, 300) ?? "it said nothing"
  )
}
