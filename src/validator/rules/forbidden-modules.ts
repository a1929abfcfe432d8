/** Modules no plugin may import, by any form of import or by reaching them through another module. */
import type { ForbiddenName, Rule } from "./rule.ts"

const process: ForbiddenName = { reason: "starts processes", instead: "Do the work in Python, or in a library." }
const lowLevel: ForbiddenName = {
  reason: "reaches memory or the system",
  instead: "Use a library with a Python interface.",
}
const concurrency: ForbiddenName = {
  reason: "concurrency is the appliance's",
  instead: "Return rows from a step; the appliance runs steps in parallel.",
}
const network: ForbiddenName = { reason: "raw network access", instead: "Use requests or httpx." }
const legacy: ForbiddenName = { reason: "a module of Python 2", instead: "Do the work in Python, or in a library." }

/** The seed's table. A submodule counts as its module. Modules of the same power stand in `equal-power/`. */
export const FORBIDDEN_MODULES: ReadonlyMap<string, ForbiddenName> = new Map([
  ["subprocess", process],
  ["ctypes", lowLevel],
  ["pty", lowLevel],
  ["fcntl", lowLevel],
  ["resource", lowLevel],
  ["multiprocessing", concurrency],
  ["threading", concurrency],
  ["socket", network],
  ["commands", legacy],
  ["popen2", legacy],
])

export const forbiddenModules: Rule = function* ({ bindings, references, plugin }) {
  const { tree, imports } = bindings
  for (const { statement, level, module } of imports) {
    // A relative import is of the plugin's own modules, whatever they are called.
    if (level > 0 || !isForbiddenModule(module) || plugin.isOwn(module)) continue
    yield { index: tree.start[statement] ?? 0, message: `Forbidden import: ${module}`, severity: "error" }
  }
  // A module reached without importing it: `sys.modules["subprocess"]`, `logging.threading`.
  for (const [node, names] of references) {
    if (bindings.readIn[node] !== 0) continue
    for (const name of names) {
      if (!FORBIDDEN_MODULES.has(name)) continue
      yield { index: tree.start[node] ?? 0, message: `Forbidden import: ${name}`, severity: "error" }
    }
  }
}

function isForbiddenModule(module: string): boolean {
  return FORBIDDEN_MODULES.has(module.split(".", 1)[0] ?? module)
}
