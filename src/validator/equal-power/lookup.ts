/** The tables of equal power by name. */
import { DYNAMIC_CODE } from "./dynamic-code.ts"
import type { EqualPower } from "./entry.ts"
import { FILES } from "./files.ts"
import { NATIVE_CODE } from "./native-code.ts"
import { PROCESSES } from "./processes.ts"

export const EQUAL_POWER: readonly EqualPower[] = [...DYNAMIC_CODE, ...PROCESSES, ...NATIVE_CODE, ...FILES]

const MODULES = new Map(EQUAL_POWER.flatMap((entry) => (entry.modules ?? []).map((module) => [module, entry] as const)))
/** `a.B().c` is `a.B.c` too, which takes the object as its first argument. */
const NAMES = new Map(
  EQUAL_POWER.flatMap((entry) =>
    (entry.names ?? []).flatMap((name) => [name, name.replace("().", ".")].map((spelled) => [spelled, entry] as const)),
  ),
)

/** What has to be followed for a name or module of the tables to be found: `a`, `a.b` and `a.b()` for `a.b().c`. */
export const LEADING_TO_EQUAL_POWER: ReadonlySet<string> = new Set(
  [...MODULES.keys(), ...NAMES.keys()].flatMap(prefixesOf),
)

export function moduleOfEqualPower(module: string): EqualPower | null {
  return MODULES.get(module) ?? null
}

export function nameOfEqualPower(name: string): EqualPower | null {
  return NAMES.get(name) ?? null
}

/** The module itself or the one above it that a table names. */
export function importOfEqualPower(module: string): EqualPower | null {
  for (let at = module; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
    const entry = MODULES.get(at)
    if (entry !== undefined) return entry
  }
  return null
}

function prefixesOf(name: string): string[] {
  const found: string[] = []
  for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) {
    const prefix = name.slice(0, dot)
    found.push(prefix)
    if (prefix.endsWith("()")) found.push(prefix.slice(0, -2))
  }
  return found
}
