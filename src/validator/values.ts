/**
 * What an expression may stand for, as strings: a qualified name (`os`, `os.system`, `builtins.eval`), a module of the plugin,
 * something external, and any of these held in a list, dict or the like.
 */
import { EXTERNAL, reachedModule, STANDARD } from "./vocabulary.ts"

export type Values = readonly string[]

export const NOTHING: Values = []

/** Marks a value as the content of a container. */
const CONTAINED = "[]"
/** Marks a module of the plugin: the path of its file, or of its folder, follows. */
const OWN = "@"

export function contained(value: string): string {
  return value.startsWith(CONTAINED) ? value : CONTAINED + value
}

export function isContained(value: string): boolean {
  return value.startsWith(CONTAINED)
}

export function uncontained(value: string): string {
  return value.startsWith(CONTAINED) ? value.slice(CONTAINED.length) : value
}

export function ownModule(path: string): string {
  return OWN + path
}

/** The path inside the plugin that a value stands for, or null when it is no module of the plugin. */
export function ownModulePath(value: string): string | null {
  return value.startsWith(OWN) ? value.slice(OWN.length) : null
}

export function isModule(value: string): boolean {
  const plain = uncontained(value)
  return plain !== EXTERNAL && (plain.startsWith(OWN) || reachedModule(plain) === plain)
}

export function unique(values: Values): string[] {
  return values.length < 2 ? [...values] : [...new Set(values)]
}

/** Whether any rule speaks of a value. */
export function isJudged(value: string): boolean {
  return value !== EXTERNAL && value !== STANDARD && !isContained(value) && !isOwnModule(value)
}

/** What a class has of the one it is derived from: its methods, when some table speaks of them. */
export function isInherited(value: string): boolean {
  return value !== EXTERNAL && value !== STANDARD && !value.startsWith(".") && !isOwnModule(value)
}

function isOwnModule(value: string): boolean {
  return ownModulePath(value) !== null
}
