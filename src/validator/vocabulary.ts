/** Which qualified names are worth following: the modules and functions that the rules' tables speak of. */
import { FORBIDDEN_BUILTINS, forbiddenBuiltin } from "./rules/forbidden-builtins.ts"
import { FORBIDDEN_MODULES } from "./rules/forbidden-modules.ts"
import { importlibFunction } from "./rules/importlib-functions.ts"
import { OS_MODULES, osFunction } from "./rules/os-functions.ts"
import { PICKLING_MODULES } from "./rules/pickle-warnings.ts"
import { unpicklingFunction } from "./rules/unpickling.ts"

/** Some module or object from outside the plugin that no table speaks of. Its own imports can be reached through it. */
export const EXTERNAL = "~"
export const BUILTINS = "builtins"
export const MODULES_BY_NAME = "sys.modules"
const NAMESPACE = ".__dict__"
/** Ends the name of a module's member that only the run will tell. */
export const COMPUTED = ".*"

/** Modules of whose members some are forbidden, so that a computed member may be one. */
export const SENSITIVE_MODULES: ReadonlySet<string> = new Set([
  ...OS_MODULES,
  BUILTINS,
  "importlib",
  "pickle",
  "marshal",
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
])

/**
 * Modules that others import and so hand on (`logging.os`, `tempfile._os`). Left out are names that libraries also give
 * to functions and submodules of their own, such as `boto3.resource`, `torch.multiprocessing` and `skimage.io`.
 */
const HANDED_ON: ReadonlySet<string> = new Set([
  "os",
  "sys",
  "builtins",
  "importlib",
  "pickle",
  "marshal",
  "subprocess",
  "ctypes",
  "threading",
])

/** Builtin names that lead to something the tables speak of. */
export function builtinValue(name: string): string | null {
  if (name === "__builtins__") return BUILTINS
  return FORBIDDEN_BUILTINS.has(name) ? `${BUILTINS}.${name}` : null
}

/** What `import module` gives. */
export function moduleValue(module: string): string {
  return FOLLOWED_MODULES.has(module) ? module : EXTERNAL
}

/** What a computed import or `sys.modules` gives: there forbidden modules count too, as no import statement names them. */
export function reachedModule(module: string): string {
  return FORBIDDEN_MODULES.has(module) || FOLLOWED_MODULES.has(module) ? module : EXTERNAL
}

/** What `value.attribute` is, or null when nothing is known of it. */
export function attributeOf(value: string, attribute: string): string | null {
  if (value === EXTERNAL || (FOLLOWED_MODULES.has(value) && !isForbidden(`${value}.${attribute}`))) {
    const module = attribute.replace(/^_(?=[a-z])/, "")
    if (HANDED_ON.has(module)) return module
  }
  if (value === EXTERNAL) return EXTERNAL
  if (!FOLLOWED_MODULES.has(value)) return null
  const name = `${value}.${attribute}`
  if (attribute === "__dict__" || name === MODULES_BY_NAME || FOLLOWED_MODULES.has(name) || isForbidden(name))
    return name
  return null
}

/**
 * What `value[key]` is for the dictionaries that hold modules or a module's names; `key` is null when only the run will
 * tell it. `sys.modules[__name__]` is common and harmless, so a computed key of `sys.modules` leads nowhere.
 */
export function itemOf(value: string, key: string | null): string[] {
  if (value === MODULES_BY_NAME) return key === null ? [] : [reachedModule(key)]
  // `__builtins__` is the module in one file and its dictionary in every other.
  const module = value === BUILTINS ? BUILTINS : value.endsWith(NAMESPACE) ? value.slice(0, -NAMESPACE.length) : null
  if (module === null) return []
  if (key === null) return SENSITIVE_MODULES.has(module) ? [module + COMPUTED] : []
  const member = attributeOf(module, key)
  return member === null ? [] : [member]
}

function isForbidden(name: string): boolean {
  return (
    osFunction(name) !== null ||
    forbiddenBuiltin(name) !== null ||
    importlibFunction(name) !== null ||
    unpicklingFunction(name) !== null
  )
}
