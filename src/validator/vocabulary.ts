/** Which qualified names are worth following: the modules and functions that the rules' tables speak of. */
import { LEADING_TO_EQUAL_POWER, moduleOfEqualPower, nameOfEqualPower } from "./equal-power/lookup.ts"
import { FORBIDDEN_BUILTINS, forbiddenBuiltin } from "./rules/forbidden-builtins.ts"
import { FORBIDDEN_MODULES } from "./rules/forbidden-modules.ts"
import { importlibFunction } from "./rules/importlib-functions.ts"
import { OS_MODULES, osFunction } from "./rules/os-functions.ts"
import { PICKLING_MODULES } from "./rules/pickle-warnings.ts"
import { unpicklingFunction } from "./rules/unpickling.ts"
import { STANDARD_LIBRARY } from "./standard-library.ts"

/** Some module or object from outside the plugin that no table speaks of. Its own imports can be reached through it. */
export const EXTERNAL = "~"
/** The same of the standard library, whose modules hand on those that they import under names that others give to other things. */
export const STANDARD = "~standard"
export const BUILTINS = "builtins"
export const MODULES_BY_NAME = "sys.modules"
export const NAMESPACE = ".__dict__"
/** The names of a module of the plugin, which can be changed there behind the scan's back. */
export const OWN_NAMESPACE = "a module of the plugin.__dict__"
/** Ends the name of a module's member that only the run will tell. */
export const COMPUTED = ".*"

/** Stands for any of the standard library whose names are taken as a whole. */
const LIBRARY = "a module of the standard library"
/** What an attribute of this name, of an object of which nothing is known, is when it is a module. */
const MODULES_OF_OTHERS: ReadonlySet<string> = new Set(["os", "sys", "builtins", "importlib", "pickle"])

/** Modules of whose members some are forbidden, so that a computed member may be one. */
export const SENSITIVE_MODULES: ReadonlySet<string> = new Set([
  ...OS_MODULES,
  BUILTINS,
  "importlib",
  "pickle",
  "marshal",
  "sys",
  "gc",
  "io",
])

/** Modules whose functions are followed. Importing them is allowed; `os.path` is one so that `os.path.os` is found. */
const FOLLOWED_MODULES: ReadonlySet<string> = new Set([
  ...OS_MODULES,
  ...PICKLING_MODULES,
  BUILTINS,
  "importlib",
  "io",
  "_io",
  "sys",
  "os.path",
  ...LEADING_TO_EQUAL_POWER,
])

/**
 * Modules that others import and so hand on (`logging.os`, `tempfile._os`). Left out are names that libraries also give
 * to functions and submodules of their own, such as `boto3.resource`, `torch.multiprocessing` and `skimage.io`.
 */
const HANDED_ON: ReadonlySet<string> = new Set([
  "os",
  "posix",
  "nt",
  "sys",
  "builtins",
  "importlib",
  "pickle",
  "marshal",
  "subprocess",
  "ctypes",
  "threading",
  "asyncio",
  "codeop",
  "gc",
  "inspect",
  "operator",
  "pkgutil",
  "runpy",
  "signal",
  "socketserver",
  "webbrowser",
  "zipimport",
])
/** Of these only what the standard library's own modules hand on: `tempfile._io`, `http.client.socket`, `enum.bltns`. */
const HANDED_ON_BY_STANDARD: ReadonlySet<string> = new Set([
  ...["io", "socket", "fcntl", "resource", "multiprocessing", "types", "_thread", "_io", "_posixsubprocess"],
  ...["_socket", "_imp", "_winapi", "_pickle", "_ctypes", "pty", "imp", "shelve", "pydoc", "unittest"],
])
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["bltns", BUILTINS],
  ["bltn", BUILTINS],
])
/** Attributes of any function or frame that hold a module's names. */
const NAMESPACES_OF_OTHERS: ReadonlySet<string> = new Set([".__globals__", ".f_globals", ".f_locals", ".f_builtins"])

/** Builtin names that lead to something the tables speak of. */
export function builtinValue(name: string): string | null {
  if (name === "__builtins__") return BUILTINS
  const value = `${BUILTINS}.${name}`
  if (FORBIDDEN_BUILTINS.has(name) || nameOfEqualPower(value) !== null) return value
  return name.startsWith("__") ? attributeOfAny(name) : null
}

/** What an attribute of this name is on whatever object, or null. */
export function attributeOfAny(attribute: string): string | null {
  if (attribute === "__builtins__") return BUILTINS
  const name = `.${attribute}`
  if (NAMESPACES_OF_OTHERS.has(name) || FOLLOWED_MODULES.has(name) || MODULES_OF_OTHERS.has(attribute)) return name
  return nameOfEqualPower(name) === null ? null : name
}

/** What a call of `value` answers, when the tables speak of it. */
export function answerOf(value: string): string | null {
  const answer = `${value}()`
  return FOLLOWED_MODULES.has(answer) ? answer : null
}

/** What `import module` gives. */
export function moduleValue(module: string): string {
  if (FOLLOWED_MODULES.has(module)) return module
  return STANDARD_LIBRARY.has(module.split(".", 1)[0] ?? module) ? STANDARD : EXTERNAL
}

/** What a computed import or `sys.modules` gives: there forbidden modules count too, as no import statement names them. */
export function reachedModule(module: string): string {
  const known = FORBIDDEN_MODULES.has(module) || FOLLOWED_MODULES.has(module) || moduleOfEqualPower(module) !== null
  return known ? module : EXTERNAL
}

/** What `value.attribute` is, or null when nothing is known of it. */
export function attributeOf(value: string, attribute: string): string | null {
  if (value === EXTERNAL) return moduleHandedOn(attribute) ?? EXTERNAL
  if (value === STANDARD && attribute === "__dict__") return LIBRARY + NAMESPACE
  if (value.startsWith(".") && MODULES_OF_OTHERS.has(value.slice(1))) {
    const member = `${value.slice(1)}.${attribute}`
    return member === MODULES_BY_NAME || isForbidden(member) ? member : null
  }
  if (value === STANDARD) return moduleHandedOn(attribute) ?? moduleOfStandard(attribute) ?? STANDARD
  if (!FOLLOWED_MODULES.has(value)) return null
  const name = `${value}.${attribute}`
  if (FOLLOWED_MODULES.has(name) || isForbidden(name)) return name
  const module = moduleHandedOn(attribute)
  if (module !== null) return module
  if (attribute === "__dict__" || name === MODULES_BY_NAME) return name
  // `concurrent.futures.x.os`: what a module that is followed hands on is followed like that of any other.
  if (!LEADING_TO_EQUAL_POWER.has(value) || value.startsWith(".") || value.endsWith("()")) return null
  return STANDARD_LIBRARY.has(value.split(".", 1)[0] ?? value) ? (moduleOfStandard(attribute) ?? STANDARD) : EXTERNAL
}

/**
 * What `value[key]` is for the dictionaries that hold modules or a module's names; `key` is null when only the run will
 * tell it. `sys.modules[__name__]` is common and harmless, so a computed key of `sys.modules` leads nowhere.
 */
export function itemOf(value: string, key: string | null): string[] {
  if (value === MODULES_BY_NAME) return key === null ? [] : [reachedModule(key)]
  if (NAMESPACES_OF_OTHERS.has(value)) return key === null ? [] : [namespaceItem(value, key)]
  // `__builtins__` is the module in one file and its dictionary in every other.
  const module = value === BUILTINS ? BUILTINS : value.endsWith(NAMESPACE) ? value.slice(0, -NAMESPACE.length) : null
  if (module === null) return []
  if (key === null) return [module + COMPUTED]
  const member = attributeOf(module === LIBRARY ? STANDARD : module, key)
  return member === null ? [] : [member]
}

function namespaceItem(namespace: string, key: string): string {
  if (key === "__builtins__") return BUILTINS
  if (namespace === ".f_builtins") return builtinValue(key) ?? EXTERNAL
  const module = moduleHandedOn(key)
  if (module !== null) return module
  // `os.walk.__globals__["system"]`: the names of the module that the function stands in.
  return ["os", BUILTINS].map((owner) => `${owner}.${key}`).find(isForbidden) ?? EXTERNAL
}

/** `logging.os`, `tempfile._os`. */
function moduleHandedOn(attribute: string): string | null {
  const module = /^_[a-z]/.test(attribute) ? attribute.slice(1) : attribute
  return HANDED_ON.has(module) ? module : null
}

function moduleOfStandard(attribute: string): string | null {
  if (HANDED_ON_BY_STANDARD.has(attribute)) return attribute
  const alias = ALIASES.get(attribute)
  if (alias !== undefined) return alias
  const plain = /^_[a-z]/.test(attribute) ? attribute.slice(1) : attribute
  return HANDED_ON_BY_STANDARD.has(plain) ? plain : null
}

function isForbidden(name: string): boolean {
  return (
    osFunction(name) !== null ||
    forbiddenBuiltin(name) !== null ||
    importlibFunction(name) !== null ||
    unpicklingFunction(name) !== null ||
    nameOfEqualPower(name) !== null ||
    moduleOfEqualPower(name) !== null
  )
}
