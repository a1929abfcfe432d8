/** Imports of the pickling modules warn; in strict mode they fail. What they read is the matter of `unpickling`. */
import type { Rule } from "./rule.ts"

export const PICKLING_MODULES: ReadonlySet<string> = new Set(["pickle", "marshal", "shelve", "_pickle", "cPickle"])

export const pickleWarnings: Rule = ({ bindings: { imports, tree }, plugin }, { strict }) =>
  imports
    .filter(
      ({ level, module }) =>
        level === 0 && !plugin.isOwn(module) && PICKLING_MODULES.has(module.split(".", 1)[0] ?? module),
    )
    .map(({ statement, module }) => ({
      index: tree.start[statement] ?? 0,
      message: `Use of ${module}: what it reads can run any code. Use json or safetensors`,
      severity: strict ? "error" : "warning",
    }))
