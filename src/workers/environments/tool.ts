/** Programs of `python/environments/`: one question, one answer, in a Python that is locked down like a worker. */
import { realpathSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { z } from "zod"
import type { IsolationLevel } from "../../isolation-levels.ts"
import type { Interpreter } from "../interpreters.ts"
import type { IsolationLimits } from "../isolation.ts"
import { LOCK_DOWN_EXIT_CODE, type LockDownPolicy, lockDownPolicy } from "../lock-down.ts"
import { runProgram } from "../run-program.ts"
import type { WorkerLimits } from "../watchdog.ts"

type Tool = "resolve" | "install" | "inspect" | "machine" | "collect" | "build"

/** What a tool is locked into, wherever it needs neither an index nor this machine's own facts. */
export interface ToolConfinement extends IsolationLimits {
  readonly level: IsolationLevel
  readonly limits: WorkerLimits
  /** At level full these are empty for it, but for what it may read or write inside. */
  readonly hidden: readonly string[]
}

export interface ToolOptions<A> {
  readonly interpreter: Pick<Interpreter, "path">
  /** Holds `environments/`. */
  readonly pythonTree: string
  /** Where this call gets a folder of its own, removed at its end. */
  readonly scratchDir: string
  readonly request: (work: string) => Readonly<Record<string, unknown>>
  /** Null: as this user, unconfined. */
  readonly confinement: ToolConfinement | null
  readonly readable: readonly string[]
  /** The whole environment of the program, besides its folder for temporary files. */
  readonly environment: (work: string) => Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  onLine?(line: string): void
  /** What the answer speaks of lies in this call's folder, which goes away after this. */
  readonly take?: (work: string, answer: A) => Promise<void>
}

const Failure = z.object({
  ok: z.literal(false),
  kind: z.enum(["invalid", "missing", "conflict", "pip", "failed"]),
  problems: z.array(z.string()),
  missing: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      required_by: z.array(z.string()),
      found: z.array(z.string()),
      /** Source distributions of the store that are in the range, the newest first: paths. */
      sources: z.array(z.string()),
    }),
  ),
})
export type ToolFailure = z.output<typeof Failure>

/** Null: it is not locked down. */
export function toolPolicy(
  confinement: ToolConfinement | null,
  granted: { readonly read: readonly string[]; readonly write: readonly string[] },
): LockDownPolicy | null {
  if (confinement === null || confinement.level === "none") return null
  const none = { readable: [], writable: [], devices: [], network: { mode: "none" } } as const
  return lockDownPolicy({ ...confinement, ...none }, granted)
}

export function toolArguments(
  interpreter: Pick<Interpreter, "path">,
  pythonTree: string,
  [tool, request, answer]: readonly [Tool, string, string],
): [string, ...string[]] {
  return [interpreter.path, "-I", "-S", "-B", join(pythonTree, "environments"), tool, request, answer]
}

/**
 * The tool's answer by `schema`, or why it has none.
 * @throws Error when the tool itself is at fault: it cannot be run, is killed, takes too long or answers nonsense
 */
export async function runTool<T extends z.ZodType>(
  tool: Tool,
  schema: T,
  options: ToolOptions<z.output<T>>,
): Promise<z.output<T> | ToolFailure> {
  const { interpreter, pythonTree, scratchDir, confinement, timeoutMs, signal } = options
  const made = join(scratchDir, `tool-${crypto.randomUUID()}`)
  await mkdir(made, { recursive: true, mode: 0o700 })
  const [work, tree] = [realpathSync(made), realpathSync(pythonTree)]
  try {
    const policy = toolPolicy(confinement, { read: [tree, ...options.readable], write: [work] })
    const [request, answer] = [join(work, "request.json"), join(work, "answer.json")]
    await Bun.write(request, JSON.stringify({ ...options.request(work), policy }))
    const result = await runProgram({
      argv: toolArguments(interpreter, tree, [tool, request, answer]),
      environment: { HOME: work, ...options.environment(work), TMPDIR: work },
      cwd: work,
      timeoutMs,
      signal,
      onLine: ({ text }) => options.onLine?.(text),
    })
    signal?.throwIfAborted()
    if (result.stopped === "timeout") {
      return { ok: false, kind: "failed", problems: [`It was not done within ${timeoutMs / 1000} s.`], missing: [] }
    }
    if (result.code !== 0) {
      const refused =
        result.code === LOCK_DOWN_EXIT_CODE ? "was not confined" : `failed (exit ${result.code ?? result.signal})`
      throw new Error(`'${tool}' ${refused}: ${result.lastOutput.trim().split("\n").slice(-12).join("\n")}`)
    }
    const said: unknown = await Bun.file(answer).json()
    const failure = Failure.safeParse(said)
    if (failure.success) return failure.data
    const parsed = schema.parse(said)
    await options.take?.(work, parsed)
    return parsed
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
