/** What a machine takes, written on it and read on another one that collects wheels for it: `target.json`. */
import { z } from "zod"
import type { Interpreter } from "../interpreters.ts"
import { runProgram } from "../run-program.ts"
import { runTool } from "./tool.ts"

const PROBE_TIMEOUT_MS = 60_000

const TargetInterpreter = z.object({
  path: z.string(),
  /** Such as 3.11.7. */
  version: z.string(),
  abi: z.string().regex(/^cp\d+$/),
  platform: z.string(),
  /** Whether the base packages are there already. */
  base_ready: z.boolean(),
  /** Platform tags of wheels that it takes, the most specific first. */
  platforms: z.array(z.string().regex(/^\w+$/)).min(1),
  /** Values of environment markers, such as `sys_platform`. */
  markers: z.record(z.string(), z.string()),
  /** Such as ["glibc", "2.36"]. */
  libc: z.array(z.string()),
})
export type TargetInterpreter = z.output<typeof TargetInterpreter>

export const Target = z.object({
  format: z.literal(1),
  mixpeek: z.string(),
  /** The one that plugins run in first. */
  interpreters: z.array(TargetInterpreter).min(1),
  /** Null without an NVIDIA driver. `version` is the newest CUDA that the driver runs. */
  cuda: z.object({ driver: z.string(), version: z.string() }).nullable(),
})
export type Target = z.output<typeof Target>

const Machine = z.object({
  ok: z.literal(true),
  platforms: z.array(z.string()),
  markers: z.record(z.string(), z.string()),
  libc: z.array(z.string()),
})

/** @throws Error when the interpreter has no pip, which knows its tags */
export async function describeInterpreter(
  interpreter: Interpreter,
  baseReady: boolean,
  { pythonTree, scratchDir }: { pythonTree: string; scratchDir: string },
): Promise<TargetInterpreter> {
  const answer = await runTool("machine", Machine, {
    interpreter,
    pythonTree,
    scratchDir,
    request: () => ({}),
    confinement: null,
    readable: [],
    environment: () => ({ PATH: "/usr/bin:/bin", LANG: "C.UTF-8" }),
    timeoutMs: PROBE_TIMEOUT_MS,
  })
  if (!answer.ok) throw new Error(answer.problems.join("\n"))
  const { platforms, markers, libc } = answer
  const { path, version, abi, platform } = interpreter
  return { path, version, abi, platform, base_ready: baseReady, platforms, markers, libc }
}

/** From `nvidia-smi`, which comes with the driver; null without it. */
export async function cudaOf(pathVariable: string): Promise<Target["cuda"]> {
  const program = Bun.which("nvidia-smi", { PATH: pathVariable })
  if (program === null) return null
  const { code, stdout } = await runProgram({
    argv: [program],
    environment: { PATH: "/usr/bin:/bin", LANG: "C" },
    timeoutMs: PROBE_TIMEOUT_MS,
  })
  const said = stdout.join("\n")
  const [driver, version] = [/Driver Version:\s*([\d.]+)/.exec(said)?.[1], /CUDA Version:\s*([\d.]+)/.exec(said)?.[1]]
  return code === 0 && driver !== undefined && version !== undefined ? { driver, version } : null
}
