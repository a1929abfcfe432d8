/** Functions of `os` that start, replace or end processes. `import os`, `os.environ`, `os.path`, `os.unlink` are fine. */
import { functionReferences } from "./function-references.ts"
import type { ForbiddenName, Rule } from "./rule.ts"

/** `os` takes its functions from these; they hold the same ones. */
export const OS_MODULES: ReadonlySet<string> = new Set(["os", "posix", "nt"])

const shell: ForbiddenName = { reason: "runs a command", instead: "Do the work in Python, or in a library." }
const processes: ForbiddenName = { reason: "starts a process", instead: "Do the work in Python, or in a library." }
const signals: ForbiddenName = { reason: "ends or signals processes", instead: "Raise an exception to fail a row." }

const OS_FUNCTIONS: ReadonlyMap<string, ForbiddenName> = new Map([
  ["system", shell],
  ["popen", shell],
  ["fork", processes],
  ["kill", signals],
  ["killpg", signals],
])
/** `spawnv`, `spawnlpe`, `execv`, `execlpe`, and whatever the families grow. */
const OS_FAMILIES = /^_?(?:spawn|exec)/

/** As the seed's table writes them. */
export const OS_NAMES: readonly (readonly [string, ForbiddenName])[] = [
  ...[...OS_FUNCTIONS].map(([name, entry]) => [`os.${name}`, entry] as const),
  ["os.spawn*", processes],
  ["os.exec*", processes],
]

export function osFunction(name: string): ForbiddenName | null {
  const dot = name.indexOf(".")
  if (dot < 0 || !OS_MODULES.has(name.slice(0, dot))) return null
  const member = name.slice(dot + 1)
  return OS_FUNCTIONS.get(member) ?? (OS_FAMILIES.test(member) ? processes : null)
}

export const osFunctions: Rule = (file) => functionReferences(file, osFunction)
