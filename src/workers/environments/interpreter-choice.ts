import { satisfies, validRange } from "@renovatebot/pep440"
import type { Interpreter, InterpreterSearch } from "../interpreters.ts"
import { EnvironmentRefused } from "./refused.ts"

const MOST_CHARACTERS = 200

/**
 * The Python for a plugin that states `requiresPython` (PEP 440, such as `>=3.12,<4`): the appliance's own where it will do, else
 * one that `isReady`, else the newest.
 * @throws EnvironmentRefused, which names what is asked for and what is there
 */
export function chooseInterpreter(
  search: InterpreterSearch,
  requiresPython: string | null,
  isReady: (interpreter: Interpreter) => boolean,
): Interpreter {
  const usable = usableInterpreters(search)
  const [own] = usable
  if (own === undefined) throw new EnvironmentRefused("There is no Python", [search.problem ?? "No Python was found."])
  if (requiresPython === null || requiresPython.trim() === "") return own
  if (requiresPython.length > MOST_CHARACTERS || !validRange(requiresPython)) {
    const problem = `requires_python is '${requiresPython.slice(0, MOST_CHARACTERS)}', which is no range of versions such as '>=3.11,<3.14'`
    throw new EnvironmentRefused("manifest.py does not fit", [problem])
  }
  const fitting = usable.filter(({ version }) => satisfies(version, requiresPython))
  const [best] = fitting.toSorted(
    (a, b) =>
      Number(b === own) - Number(a === own) ||
      Number(isReady(b)) - Number(isReady(a)) ||
      Number(b.pip) - Number(a.pip) ||
      minor(b.version) - minor(a.version),
  )
  if (best !== undefined) return best
  const there = usable.map(({ version, path }) => `${version} (${path})`).join(", ")
  throw new EnvironmentRefused("No Python here does for this plugin", [
    `requires_python is '${requiresPython}', and this machine has Python ${there}. Install one that fits, or change requires_python.`,
  ])
}

/** Each once, the appliance's own first. */
export function usableInterpreters({ chosen, candidates }: InterpreterSearch): Interpreter[] {
  const byPath = new Map<string, Interpreter>()
  if (chosen !== null) byPath.set(chosen.path, chosen)
  for (const { interpreter } of candidates) {
    if (interpreter !== null && !byPath.has(interpreter.path)) byPath.set(interpreter.path, interpreter)
  }
  return [...byPath.values()]
}

function minor(version: string): number {
  return Number(version.split(".")[1])
}
