/**
 * Which Python runs the plugins. Workers start the base interpreter by its real path, never a shim, a link or a virtual
 * environment's python: its pyvenv.cfg would steer where the standard library is taken from.
 */
import { accessSync, constants, realpathSync, statSync } from "node:fs"
import { isAbsolute, join, resolve } from "node:path"
import { type InterpreterFacts, isVirtual, type Probe, probeInterpreter } from "./interpreter-probe.ts"

export interface Interpreter {
  /** Real, absolute path of the base executable. */
  readonly path: string
  /** Such as 3.11.7. */
  readonly version: string
  /** Such as cp311: what wheels must fit. */
  readonly abi: string
  /** Such as linux-x86_64, linux-x86_64-musl or macosx-11.0-arm64. */
  readonly platform: string
  /** Whether `-m pip` works in it. */
  readonly pip: boolean
}

export interface Candidate {
  /** Where it was found, before links and shims were followed. */
  readonly found: string
  /** Null when it is no Python that we can use. */
  readonly interpreter: Interpreter | null
  /** Why it was not taken; null for the chosen one. */
  readonly reason: string | null
}

export interface InterpreterSearch {
  readonly chosen: Interpreter | null
  /** In the order in which they were looked at. */
  readonly candidates: readonly Candidate[]
  /** One sentence saying what is missing; null when one was chosen. */
  readonly problem: string | null
}

export interface InterpreterSearchOptions {
  /** The admin's choice: a path, or a name on the PATH. Nothing else is tried then. */
  readonly override?: string | null | undefined
  /** The PATH to search. */
  readonly pathVariable: string
  /** An interpreter whose base environment exists is preferred: a newly installed Python must not undo a set-up. */
  readonly isReady?: (interpreter: Interpreter) => boolean
}

export const SUPPORTED_PYTHON = "3.10 to 3.13"
const OLDEST_MINOR = 10
const NEWEST_MINOR = 13
const NAMES = ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python"]
/** A PATH may be long; every candidate is a process. */
const MAX_CANDIDATES = 48

/** Looks at every Python on the PATH; the same machine gives the same choice. Takes some 100 ms. */
export async function findInterpreter(options: InterpreterSearchOptions): Promise<InterpreterSearch> {
  const override = options.override ?? null
  const found = override === null ? onPath(NAMES, options.pathVariable) : named(override, options.pathVariable)
  const probe = rememberingProbe(options.pathVariable)
  const looked = await Promise.all(found.map(async (path) => ({ path, ...(await look(path, probe)) })))

  const usable: { path: string; interpreter: Interpreter }[] = []
  for (const { path, interpreter } of looked) if (interpreter !== null) usable.push({ path, interpreter })
  const [best] = usable.toSorted(
    (a, b) =>
      Number(options.isReady?.(b.interpreter) ?? false) - Number(options.isReady?.(a.interpreter) ?? false) ||
      Number(b.interpreter.pip) - Number(a.interpreter.pip) ||
      Number(b.path.endsWith("/python3")) - Number(a.path.endsWith("/python3")) ||
      minor(b.interpreter.version) - minor(a.interpreter.version),
  )
  const firstBy = new Map<string, string>()
  const candidates = looked.map(({ path, interpreter, reason }): Candidate => {
    if (interpreter === null) return { found: path, interpreter, reason }
    const twin = firstBy.get(interpreter.path)
    firstBy.set(interpreter.path, twin ?? path)
    if (twin !== undefined) return { found: path, interpreter, reason: `the same interpreter as ${twin}` }
    if (interpreter.path === best?.interpreter.path) return { found: path, interpreter, reason: null }
    return { found: path, interpreter, reason: `usable, but ${best?.interpreter.path ?? "another"} is preferred` }
  })
  return { chosen: best?.interpreter ?? null, candidates, problem: problem(best !== undefined, override, candidates) }
}

type Look = { interpreter: Interpreter; reason: null } | { interpreter: null; reason: string }

async function look(path: string, probe: (path: string) => Promise<Probe>): Promise<Look> {
  const first = await probe(path)
  if (!first.ok) return { interpreter: null, reason: first.reason }
  // What counts is what the real executable says of itself: a shim or a virtual environment may set it up differently.
  const real = isItself(path, first.facts) ? first : await probe(first.facts.realExecutable)
  if (!real.ok) return { interpreter: null, reason: `${first.facts.realExecutable} ${real.reason}` }
  const refusal = whyUnsupported(real.facts)
  return refusal === null
    ? { interpreter: toInterpreter(real.facts), reason: null }
    : { interpreter: null, reason: refusal }
}

/** The real executable, or a link to it that is no virtual environment's. */
function isItself(path: string, { realExecutable }: InterpreterFacts): boolean {
  return realpathSync(path) === realExecutable && !isVirtual(path)
}

function whyUnsupported(facts: InterpreterFacts): string | null {
  if (facts.implementation !== "cpython") return `is ${facts.implementation}; CPython is needed`
  const [major, minorText] = facts.version.split(".")
  const minorNumber = Number(minorText)
  if (major !== "3" || minorNumber < OLDEST_MINOR || minorNumber > NEWEST_MINOR) {
    return `is Python ${facts.version}; ${SUPPORTED_PYTHON} is needed`
  }
  if (facts.free_threaded) return "is a free-threaded build; the base packages have no wheels for it"
  if (facts.bits !== 64) return "is a 32-bit build; the base packages have no wheels for it"
  return null
}

function toInterpreter(facts: InterpreterFacts): Interpreter {
  return {
    path: facts.realExecutable,
    version: facts.version,
    abi: `cp${facts.version.split(".").slice(0, 2).join("")}`,
    platform: facts.soabi.includes("musl") ? `${facts.platform}-musl` : facts.platform,
    pip: facts.pip,
  }
}

function problem(chosen: boolean, override: string | null, candidates: readonly Candidate[]): string | null {
  if (chosen) return null
  if (override !== null) {
    const [only] = candidates
    return only === undefined ? `Python '${override}' was not found.` : `Python '${only.found}' ${only.reason}.`
  }
  return `No Python ${SUPPORTED_PYTHON} was found on the PATH. Install one, or name it with --python or MIXPEEK_PYTHON.`
}

/** Several names lead to one file; each file is asked once. */
function rememberingProbe(pathVariable: string): (path: string) => Promise<Probe> {
  const asked = new Map<string, Promise<Probe>>()
  return (path) => {
    const answer = asked.get(path) ?? probeInterpreter(path, pathVariable)
    asked.set(path, answer)
    return answer
  }
}

function named(override: string, pathVariable: string): string[] {
  if (!override.includes("/")) return onPath([override], pathVariable).slice(0, 1)
  const path = resolve(override)
  return isExecutable(path) ? [path] : []
}

/** Every executable of these names on the PATH, in the PATH's order within a name, without links to one already found. */
function onPath(names: readonly string[], pathVariable: string): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  for (const name of names) {
    for (const directory of pathVariable.split(":")) {
      // A relative entry would make the choice depend on where the command was called.
      const path = join(directory, name)
      if (!isAbsolute(directory) || !isExecutable(path)) continue
      const key = `${realpathSync(path)}`
      if (seen.has(key)) continue
      seen.add(key)
      found.push(path)
    }
  }
  return found.slice(0, MAX_CANDIDATES)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function minor(version: string): number {
  return Number(version.split(".")[1])
}
