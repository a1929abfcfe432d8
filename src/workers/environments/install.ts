import { realpathSync } from "node:fs"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Interpreter } from "../interpreters.ts"
import { recordProcess } from "../process-identity.ts"
import { type ProgramOptions, type ProgramResult, runProgram } from "../run-program.ts"
import { EnvironmentBuildFailed } from "./build-failed.ts"
import { missingWheels, parseLock } from "./lock.ts"
import { INSTALLER_RECORD } from "./partials.ts"
import { type ToolConfinement, toolArguments, toolPolicy } from "./tool.ts"

/** 100 MB over a slow line. */
const PIP_TIMEOUT_MS = 30 * 60_000
const COMPILE_TIMEOUT_MS = 10 * 60_000
const IMPORT_TIMEOUT_MS = 2 * 60_000

export interface Recipe {
  /** Pinned, hashed requirements without markers: the same versions on every Python and platform. */
  readonly lock: string
  /** Imported once at the end: an environment that is ready works. None of a plugin's: they run only where a worker runs. */
  readonly modules: readonly string[]
}

export interface InstallSource {
  /** URL of a package index; without it and `wheels`, the one that pip is configured with. */
  readonly index?: string | undefined
  /** A netrc file with who we are to the index. */
  readonly credentials?: string | undefined
  /** Absolute paths of directories of wheels. Unless there is an index too, nothing else is read and nothing is fetched. */
  readonly wheels?: readonly string[] | undefined
  /** Where pip's settings, proxies and certificates are taken from; the rest of it is not passed on. */
  readonly hostEnvironment: Readonly<Record<string, string | undefined>>
}

/** Where pip is locked in while it installs. */
export interface Confined {
  readonly pythonTree: string
  readonly confinement: ToolConfinement
}

interface Install extends InstallSource {
  readonly interpreter: Interpreter
  readonly recipe: Recipe
  /** Counts only where no index is asked: that needs names, certificates and proxies as this user has them. */
  readonly confined?: Confined | undefined
  readonly partial: string
  /** Where the files will be found later: their byte code says so. */
  readonly finalDirectory: string
  readonly signal?: AbortSignal | undefined
  onLine(line: string): void
}

/**
 * pip into `<partial>/site-packages` (wheels only, every hash checked), byte code beside the sources, each module
 * imported once.
 * @throws EnvironmentBuildFailed
 */
export async function installPackages(install: Install): Promise<void> {
  const { interpreter, recipe, partial, finalDirectory, wheels = [], index, onLine } = install
  const pins = parseLock(recipe.lock, interpreter)
  const offline = wheels.length > 0 && index === undefined
  if (offline) {
    const missing = await missingWheels(wheels, pins, interpreter)
    if (missing.length > 0) throw EnvironmentBuildFailed.missingWheels(wheels, missing, interpreter)
  }
  const sitePackages = join(partial, "site-packages")
  const temporary = join(partial, "tmp")
  const lock = join(temporary, "lock.txt")
  await mkdir(temporary)
  await writeFile(lock, recipe.lock)

  onLine(`installing ${pins.length} packages for Python ${interpreter.version}`)
  const flags = ["--only-binary", ":all:", "--require-hashes", "--no-deps", "--no-compile", "--no-warn-script-location"]
  const from = [...(offline ? ["--no-index"] : []), ...wheels.flatMap((directory) => ["--find-links", directory])]
  const pip = await run(install, {
    argv: await pipArguments(install, ["install", "--target", sitePackages, ...flags, ...from, "-r", lock]),
    environment: pipEnvironment(install, temporary),
    timeoutMs: PIP_TIMEOUT_MS,
    onLine: ({ text }) => onLine(text),
  })
  if (pip.stopped === "timeout") {
    throw new EnvironmentBuildFailed("install_failed", `pip did not finish within ${PIP_TIMEOUT_MS / 60_000} minutes.`)
  }
  if (pip.code !== 0) throw EnvironmentBuildFailed.install(pip.lastOutput, interpreter, offline)

  onLine("compiling")
  const environment = { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", TMPDIR: temporary }
  // Workers never write byte code (-B). Unchecked: a copy or a restore changes times, and then every start would compile.
  const paths = ["-s", partial, "-p", finalDirectory, sitePackages]
  // Its failure changes nothing but speed: packages carry files that are not meant to compile, and uncompiled ones run.
  await run(install, {
    argv: [
      interpreter.path,
      "-I",
      "-S",
      "-m",
      "compileall",
      "-q",
      "-j",
      "0",
      "--invalidation-mode",
      "unchecked-hash",
      ...paths,
    ],
    environment,
    timeoutMs: COMPILE_TIMEOUT_MS,
  })

  if (recipe.modules.length > 0) await importOnce(install, { sitePackages, environment })
  await rm(temporary, { recursive: true })
  await rm(join(partial, INSTALLER_RECORD))
}

/** Wheels are other people's files, and pip takes them apart: where it can be locked in like a worker, it is. */
async function pipArguments(install: Install, words: readonly string[]): Promise<[string, ...string[]]> {
  const { interpreter, confined, partial, wheels = [], index } = install
  if (confined === undefined || wheels.length === 0 || index !== undefined) {
    return [interpreter.path, "-I", "-m", "pip", ...words]
  }
  const [tree, place] = [realpathSync(confined.pythonTree), realpathSync(partial)]
  const real = wheels.map((directory) => realpathSync(directory))
  const [request, answer] = [join(place, "tmp", "request.json"), join(place, "tmp", "answer.json")]
  const policy = toolPolicy(confined.confinement, { read: [tree, ...real], write: [place] })
  // Without links: nothing is left of them where it runs.
  const moved = words.map((word) => {
    const at = wheels.indexOf(word)
    return at >= 0 ? real[at] : word.startsWith(`${partial}/`) ? `${place}${word.slice(partial.length)}` : word
  })
  await writeFile(request, JSON.stringify({ arguments: moved, policy }))
  return toolArguments(interpreter, tree, ["install", request, answer])
}

/** @throws EnvironmentBuildFailed */
async function importOnce(
  install: Install,
  { sitePackages, environment }: { sitePackages: string; environment: Record<string, string> },
): Promise<void> {
  const { interpreter, recipe, onLine } = install
  onLine("importing each package once")
  const imports = `import sys; sys.path.append(sys.argv[1]); import ${recipe.modules.join(", ")}`
  const trial = await run(install, {
    argv: [interpreter.path, "-I", "-S", "-B", "-c", imports, sitePackages],
    environment,
    timeoutMs: IMPORT_TIMEOUT_MS,
  })
  if (trial.code !== 0) {
    const words = `The installed packages cannot be imported by ${interpreter.path}:\n${trial.lastOutput}`
    throw new EnvironmentBuildFailed("unusable", words)
  }
}

/** Whoever sweeps a killed build must first end the installer that goes on without us. */
async function run(
  install: Install,
  program: Omit<ProgramOptions, "signal" | "cwd" | "onStart">,
): Promise<ProgramResult> {
  const result = await runProgram({
    ...program,
    cwd: install.partial,
    signal: install.signal,
    async onStart(pid) {
      await writeFile(join(install.partial, INSTALLER_RECORD), JSON.stringify(recordProcess(pid)))
    },
  })
  install.signal?.throwIfAborted()
  return result
}

/** How an admin tells pip about caches, proxies, certificates and mirrors. Nothing that moves or adds to the target. */
const PIP_SETTINGS = [
  ...["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"],
  ...["PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY"],
  ...["PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES"],
]
const PIP_SOURCES = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"]

/** The whole environment of a pip that reads from `source`. */
export function pipEnvironment(
  { hostEnvironment, index, credentials, wheels = [] }: InstallSource,
  temporary: string,
): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: "/usr/bin:/bin",
    LANG: "C.UTF-8",
    TMPDIR: temporary,
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    PIP_NO_INPUT: "1",
    PIP_PROGRESS_BAR: "off",
    PIP_ROOT_USER_ACTION: "ignore",
    // A configuration file may set these; they contradict --target.
    PIP_USER: "0",
    PIP_REQUIRE_VIRTUALENV: "0",
  }
  // Offline means that no configuration of pip's is read at all.
  if (wheels.length > 0 && index === undefined) {
    // The last is for a URL inside a wheel's metadata, where nothing confines pip: no port answers there.
    return { ...environment, PIP_CONFIG_FILE: "/dev/null", PIP_NO_CACHE_DIR: "1", PIP_PROXY: "http://127.0.0.1:1" }
  }
  for (const name of index === undefined ? [...PIP_SETTINGS, ...PIP_SOURCES] : PIP_SETTINGS) {
    const value = hostEnvironment[name]
    if (value !== undefined && value !== "") environment[name] = value
  }
  // By the environment, not by an argument: an index URL may hold a password, and arguments are everybody's to read.
  if (index !== undefined) environment.PIP_INDEX_URL = index
  if (credentials !== undefined) environment.NETRC = credentials
  return environment
}
