/**
 * Which wheels of a lock are missing in a directory, named one by one. pip itself stops at the first one, and says of a
 * wheel for another Python no more than that nothing matched.
 */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import type { Interpreter } from "../interpreters.ts"
import { runProgram } from "../run-program.ts"

export interface Pin {
  readonly name: string
  readonly version: string
  /** SHA-256 of every file that the lock accepts, lower-case hex. */
  readonly hashes: ReadonlySet<string>
}

export interface MissingWheel {
  readonly name: string
  readonly version: string
  /** What it must fit, such as `cp311, linux-x86_64`. */
  readonly tag: string
  /** Files of that name and version that do not do, each with the reason. */
  readonly found: readonly string[]
}

const TAGS_TIMEOUT_MS = 30_000
/** pip carries the library that decides; asking it is better than a second opinion on manylinux. */
const PRINT_TAGS = `
from pip._vendor.packaging.tags import sys_tags
for tag in sys_tags():
    print(tag)
`

/**
 * Those for this Python: a pin may say `; python_version >= "3.11"`, as pip reads it, and nothing else.
 * @throws Error when a line of the lock is neither a pin nor a hash: a lock is made by a tool and must be whole
 */
export function parseLock(text: string, { version }: Pick<Interpreter, "version">): Pin[] {
  const pins: { name: string; version: string; hashes: Set<string>; meant: boolean }[] = []
  for (const line of text.split("\n")) {
    const words = line.replace(/\\$/, "").trim()
    if (words === "" || words.startsWith("#")) continue
    const hash = /^--hash=sha256:([0-9a-f]{64})$/.exec(words)?.[1]
    const pin = /^([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)(?: ; python_version (<|>=) "3\.(\d+)")?$/.exec(words)
    const current = pins.at(-1)
    if (hash !== undefined && current !== undefined) current.hashes.add(hash)
    else if (pin?.[1] !== undefined && pin[2] !== undefined) {
      const [, , , comparison, least] = pin
      const older = Number(version.split(".")[1]) < Number(least)
      const meant = comparison === undefined || (comparison === "<" ? older : !older)
      pins.push({ name: pin[1], version: pin[2], hashes: new Set(), meant })
    } else throw new Error(`a lock holds a line that is no pin and no hash: ${words}`)
  }
  return pins.filter(({ meant }) => meant)
}

/** The pins that no wheel of the directories satisfies. Reads every wheel of a pinned name: their hashes are the proof. */
export async function missingWheels(
  directories: readonly string[],
  pins: readonly Pin[],
  interpreter: Interpreter,
): Promise<MissingWheel[]> {
  const tags = await supportedTags(interpreter)
  const files: { directory: string; file: string }[] = []
  for (const directory of directories) {
    const names = (await readdir(directory)).filter((file) => file.endsWith(".whl")).sort()
    files.push(...names.map((file) => ({ directory, file })))
  }
  const missing: MissingWheel[] = []
  for (const pin of pins) {
    const found: string[] = []
    let satisfied = false
    for (const { directory, file } of files.filter((each) => isFor(each.file, pin))) {
      if (tags !== null && !wheelTags(file).some((tag) => tags.has(tag))) {
        found.push(`${file} is for another Python or platform`)
      } else if (!pin.hashes.has(await sha256OfFile(join(directory, file)))) {
        found.push(`${file} is not the file that the lock records`)
      } else satisfied = true
    }
    if (!satisfied) missing.push({ name: pin.name, version: pin.version, tag: tagOf(interpreter), found })
  }
  return missing
}

export function tagOf(interpreter: Interpreter): string {
  return `${interpreter.abi}, ${interpreter.platform}`
}

/** Null when this pip cannot say; pip then decides alone. */
async function supportedTags(interpreter: Interpreter): Promise<ReadonlySet<string> | null> {
  const result = await runProgram({
    argv: [interpreter.path, "-I", "-c", PRINT_TAGS],
    environment: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
    timeoutMs: TAGS_TIMEOUT_MS,
  })
  return result.code === 0 ? new Set(result.stdout) : null
}

/** `name-version(-build)?-python-abi-platform.whl`, where name and version hold no hyphen. */
function isFor(file: string, pin: Pin): boolean {
  const [name, version] = file.split("-")
  return normalized(name ?? "") === normalized(pin.name) && version?.replaceAll("_", "-") === pin.version
}

function wheelTags(file: string): string[] {
  const [pythons, abis, platforms] = file.slice(0, -".whl".length).split("-").slice(-3)
  const tags: string[] = []
  for (const python of pythons?.split(".") ?? []) {
    for (const abi of abis?.split(".") ?? []) {
      for (const platform of platforms?.split(".") ?? []) tags.push(`${python}-${abi}-${platform}`)
    }
  }
  return tags
}

function normalized(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-")
}

/** In hex. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest("hex")
}
