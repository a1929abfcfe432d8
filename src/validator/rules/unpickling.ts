/** Readers of pickles and code objects: what they read can run anything. Writing one (`pickle.dumps`) only warns. Further readers stand in `equal-power/`. */
import { functionReferences } from "./function-references.ts"
import type { ForbiddenName, Rule } from "./rule.ts"

const arbitraryCode: ForbiddenName = {
  reason: "what it reads can run any code",
  instead: "Use json, safetensors or numpy.load.",
}

export const UNPICKLING: ReadonlyMap<string, ForbiddenName> = new Map(
  ["pickle.load", "pickle.loads", "marshal.load", "marshal.loads"].map((name) => [name, arbitraryCode]),
)

export function unpicklingFunction(name: string): ForbiddenName | null {
  return UNPICKLING.get(name) ?? null
}

export const unpickling: Rule = (file) => functionReferences(file, unpicklingFunction)
