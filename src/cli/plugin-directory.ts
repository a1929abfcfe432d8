/**
 * A plugin as it lies in its author's directory: the files that belong to it. What an editor, git, Python or a package
 * manager keeps beside them is left out, by the same rule for the scan and for the archive.
 */
import { existsSync } from "node:fs"
import { lstat, readdir, readFile, stat } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { CommandFailed } from "./command-failed.ts"

export interface PluginFile {
  /** Inside the plugin, with `/`. */
  readonly path: string
  readonly absolute: string
  readonly size: number
}

export interface PluginDirectory {
  readonly directory: string
  /** The directory's own name: what the archive's top directory and the tests' package are called. */
  readonly name: string
  /** Sorted by path. */
  readonly files: readonly PluginFile[]
  /** What a person may miss in the archive: links and special files. */
  readonly leftOut: readonly string[]
}

export const REQUIRED_FILES = ["manifest.py", "pipeline.py"] as const

const LEFT_OUT_DIRECTORIES = new Set(["__pycache__", "node_modules", "__MACOSX"])
const LEFT_OUT_FILES = /\.py[co]$/

/** @throws CommandFailed when there is no such directory */
export async function readPluginDirectory(path: string): Promise<PluginDirectory> {
  const directory = resolve(path)
  const stats = await stat(directory).catch(() => null)
  if (stats?.isDirectory() !== true) {
    throw new CommandFailed(`${directory} is no directory. --path names the plugin's.`)
  }
  const files: PluginFile[] = []
  const leftOut: string[] = []
  const walk = async (folder: string, inside: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const absolute = join(folder, entry.name)
      const within = `${inside}${entry.name}`
      if (entry.name.startsWith(".")) continue
      if (entry.isDirectory()) {
        if (!LEFT_OUT_DIRECTORIES.has(entry.name) && !isVirtualEnvironment(absolute)) await walk(absolute, `${within}/`)
      } else if (!entry.isFile()) {
        leftOut.push(within)
      } else if (!LEFT_OUT_FILES.test(entry.name)) {
        files.push({ path: within, absolute, size: (await lstat(absolute)).size })
      }
    }
  }
  await walk(directory, "")
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { directory, name: basename(directory), files, leftOut: leftOut.sort() }
}

export function missingFiles({ files }: PluginDirectory): string[] {
  return REQUIRED_FILES.filter((required) => !files.some(({ path }) => path === required))
}

/** The sources as the scanner takes them: path inside the plugin → raw bytes. */
export async function sources({ files }: PluginDirectory): Promise<Map<string, Uint8Array>> {
  const python = files.filter(({ path }) => /\.py$/i.test(path))
  return new Map(await Promise.all(python.map(async ({ path, absolute }) => [path, await readFile(absolute)] as const)))
}

/** Made by venv, virtualenv, uv or conda, under whatever name. */
function isVirtualEnvironment(directory: string): boolean {
  return ["pyvenv.cfg", "bin/activate", "conda-meta"].some((mark) => existsSync(join(directory, mark)))
}
