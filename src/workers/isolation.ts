/**
 * What this machine's kernel and its container let a worker be locked into. It is measured, never derived from versions:
 * `python/plugin_worker/isolation_probe.py` tries the real lock-down, level by level.
 */
import { join } from "node:path"
import { z } from "zod"
import { IsolationFacts } from "../isolation-facts.ts"
import { ISOLATION_LEVELS, type IsolationLevel } from "../isolation-levels.ts"
import type { Interpreter } from "./interpreters.ts"
import { runProgram } from "./run-program.ts"

/** A cold start of Python, and four tries of some 10 ms each. */
const PROBE_TIMEOUT_MS = 30_000

/** Leaves layers out, as if the machine lacked them; the level falls accordingly. */
export interface IsolationLimits {
  /** Treats the kernel's Landlock as this version at most; 0 as one without Landlock. */
  readonly landlockAbiAtMost: number
  readonly namespaces: boolean
}

export interface Isolation {
  /** The highest level that this machine reaches. */
  readonly level: IsolationLevel
  readonly facts: IsolationFacts
  /** Why each higher level is out of reach, a sentence each, highest first. */
  readonly refusals: readonly string[]
}

const NO_FACTS = IsolationFacts.parse({})

const Answer = z.object({
  level: z.enum(ISOLATION_LEVELS),
  facts: IsolationFacts,
  refusals: z.record(z.string(), z.string().max(2000)),
})

/** Takes some 100 ms. A probe that cannot be run is an answer: nothing can be confined then. */
export async function measureIsolation(
  interpreter: Pick<Interpreter, "path">,
  pythonTree: string,
  limits: IsolationLimits,
): Promise<Isolation> {
  const probe = join(pythonTree, "plugin_worker", "isolation_probe.py")
  const settings = [String(limits.landlockAbiAtMost), limits.namespaces ? "1" : "0"]
  try {
    const { code, stdout, lastOutput } = await runProgram({
      argv: [interpreter.path, "-I", "-S", "-B", probe, ...settings],
      environment: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
      cwd: "/",
      timeoutMs: PROBE_TIMEOUT_MS,
    })
    if (code !== 0)
      return unconfined(`The probe of the isolation failed: ${lastOutput.trim().split("\n").at(-1) ?? ""}`)
    const { level, facts, refusals } = Answer.parse(JSON.parse(stdout.at(-1) ?? ""))
    return { level, facts, refusals: Object.values(refusals) }
  } catch (error) {
    return unconfined(`The probe of the isolation failed: ${error instanceof Error ? error.message : String(error)}`)
  }
}

export function unconfined(reason: string): Isolation {
  return { level: "none", facts: NO_FACTS, refusals: [reason] }
}
