/** Builtins no plugin may name. Methods and own functions of the same name are not builtins and pass. */
import { Kind } from "../node-kinds.ts"
import type { ForbiddenName, Rule } from "./rule.ts"

const dynamicCode: ForbiddenName = {
  reason: "runs code made at run time",
  instead: "Write the code out, or use json or ast.literal_eval.",
}
const files: ForbiddenName = {
  reason: "direct file access",
  instead: "Use shared.plugins.open_asset for blobs and load_namespace_model for weights.",
}
const imports: ForbiddenName = { reason: "dynamic import", instead: "Use an import statement." }
const namespaces: ForbiddenName = { reason: "reaches into namespaces", instead: "Use a dict of your own." }
const attributes: ForbiddenName = {
  reason: "reaches attributes by name",
  instead: "Name the attribute, or use a dict.",
}

export const FORBIDDEN_BUILTINS: ReadonlyMap<string, ForbiddenName> = new Map([
  ["eval", dynamicCode],
  ["exec", dynamicCode],
  ["compile", dynamicCode],
  ["open", files],
  ["__import__", imports],
  ["globals", namespaces],
  ["locals", namespaces],
  ["vars", namespaces],
  ["getattr", attributes],
  ["setattr", attributes],
  ["delattr", attributes],
  ["hasattr", attributes],
])

/** The same function objects under other modules' names. */
const SAME_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ["io.open", "open"],
  ["_io.open", "open"],
  ["io.open_code", "open"],
  ["_io.open_code", "open"],
])

/** The builtin that a qualified name stands for, or null. */
export function forbiddenBuiltin(name: string): string | null {
  const builtin = name.startsWith("builtins.") ? name.slice("builtins.".length) : (SAME_FUNCTIONS.get(name) ?? "")
  return FORBIDDEN_BUILTINS.has(builtin) ? builtin : null
}

export const forbiddenBuiltins: Rule = function* ({ bindings, references }, { allows }) {
  const { tree } = bindings
  for (const [node, names] of references) {
    for (const name of names) {
      const builtin = forbiddenBuiltin(name)
      const entry = builtin === null ? undefined : FORBIDDEN_BUILTINS.get(builtin)
      if (builtin === null || entry === undefined || allows.has(builtin)) continue
      const imported = tree.kind[tree.parent[node] ?? 0] === Kind.import_from_statement
      const named = SAME_FUNCTIONS.has(name) ? name : builtin
      const message = imported
        ? `Forbidden import: ${name}`
        : `Forbidden builtin: ${named} (${entry.reason}). ${entry.instead}`
      yield { index: tree.start[node] ?? 0, message, severity: "error" }
    }
  }
}
