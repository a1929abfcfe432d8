import { mkdir, readdir, rename, writeFile } from "node:fs/promises"
import { dirname, join, relative, resolve } from "node:path"
import { ConfigError } from "../config.ts"
import { type Category, instantiateTemplate } from "../templates.ts"
import { PARTIAL_SUFFIX } from "../write-durably.ts"
import { CommandFailed } from "./command-failed.ts"
import { CHECK, colors, print, printJson } from "./output.ts"

interface InitOptions {
  readonly category: Category
  readonly description?: string
  readonly author?: string
  readonly output: string
  readonly force?: boolean
  readonly json?: boolean
}

/** What the server takes as a plugin's name (api.md §1.1), in the lower case that Python packages are written in. */
const NAME = /^[a-z][a-z0-9_]{2,63}$/

/** Names under which a plugin could not be imported, or would hide what plugins import. */
const RESERVED = new Set(
  (
    "and assert async await break class continue def del elif else except finally for from global import lambda " +
    "nonlocal not pass raise return try while with yield engine shared plugin_worker numpy pandas pyarrow pydantic orjson"
  ).split(" "),
)

/** @throws ConfigError for a name that cannot be; CommandFailed when the directory holds something */
export async function pluginInit(name: string, options: InitOptions): Promise<void> {
  if (!NAME.test(name)) {
    throw new ConfigError(
      `'${name}' cannot be a plugin's name: lower case letters, digits and _, 3 to 64 characters, a letter first`,
    )
  }
  if (RESERVED.has(name)) throw new ConfigError(`'${name}' cannot be a plugin's name: Python code could not import it`)
  const directory = resolve(options.output, name)
  await refuseUsed(directory, options.force === true)

  const files = instantiateTemplate(options.category, {
    name,
    description: options.description ?? `Extracts features from ${options.category} (${name})`,
    author: options.author ?? "",
  })
  for (const [path, text] of Object.entries(files)) {
    const target = join(directory, path)
    await mkdir(dirname(target), { recursive: true })
    // Not writeDurably: these files are the author's, with the author's umask, not the appliance's private ones.
    const partial = `${target}.${crypto.randomUUID()}${PARTIAL_SUFFIX}`
    await writeFile(partial, text, { flush: true })
    await rename(partial, target)
  }
  report(directory, Object.keys(files), name, options)
}

async function refuseUsed(directory: string, force: boolean): Promise<void> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return []
    if (error.code === "ENOTDIR") throw new CommandFailed(`${directory} is a file.`)
    throw error
  })
  if (entries.length > 0 && !force) {
    throw new CommandFailed(`${directory} is not empty. --force writes the template's files into it.`)
  }
}

function report(directory: string, files: readonly string[], name: string, { category, json }: InitOptions): void {
  if (json === true) {
    printJson({ success: true, name, category, directory, files })
    return
  }
  const shown = relative(process.cwd(), directory) || "."
  print(`${CHECK.passed} Plugin ${colors.bold(name)} (${category}) in ${shown}/`)
  for (const file of files) print(`    ${file}`)
  print()
  print("Next:")
  if (shown !== ".") print(`  cd ${shown}`)
  print("  edit processors/core.py, and manifest.py when inputs or outputs change")
  print("  mixpeek plugin test")
  print("  mixpeek plugin publish --namespace default")
}
