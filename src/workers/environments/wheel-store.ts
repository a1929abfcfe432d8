/** The wheel store, `<data>/wheels`: files that an admin brought, from which environments are built without a network. */
import { createReadStream } from "node:fs"
import { mkdir, readdir, stat } from "node:fs/promises"
import { basename, join } from "node:path"
import { z } from "zod"
import { writeDurably } from "../../write-durably.ts"
import type { Interpreter } from "../interpreters.ts"
import { sha256OfFile } from "./lock.ts"
import { runTool } from "./tool.ts"

/** Each is read whole; a folder of thousands on a slow disk takes its time. */
const INSPECT_TIMEOUT_MS = 30 * 60_000
const PACKAGE_FILE = /\.(whl|tar\.gz|zip)$/

const Inspected = z.object({
  ok: z.literal(true),
  wheels: z.array(
    z.object({
      file: z.string(),
      name: z.string().nullable(),
      version: z.string().nullable(),
      /** Such as `cp311-cp311-manylinux_2_17_x86_64`; `source` for a source distribution. */
      tags: z.array(z.string()),
      /** Whether the appliance's own Python takes it. */
      fits: z.boolean(),
      sha256: z.string().nullable(),
      bytes: z.int(),
      /** Why it is no wheel, or not the one that it says it is. */
      problem: z.string().nullable(),
    }),
  ),
})
export type StoredWheel = z.output<typeof Inspected>["wheels"][number]

export interface Added {
  readonly file: string
  /** `replaced`: what was there under this name was damaged. */
  readonly outcome: "added" | "there already" | "replaced" | "refused"
  readonly problem: string | null
}

interface Deps {
  /** `<data>/wheels`. */
  readonly directory: string
  readonly interpreter: Pick<Interpreter, "path">
  readonly pythonTree: string
  readonly scratchDir: string
}

export function wheelStore({ directory, interpreter, pythonTree, scratchDir }: Deps) {
  /** Outcomes are values. @throws Error when the tool is at fault, or Python has no pip */
  const inspect = async (files: readonly string[], whole: boolean): Promise<StoredWheel[]> => {
    if (files.length === 0) return []
    const answer = await runTool("inspect", Inspected, {
      interpreter,
      pythonTree,
      scratchDir,
      request: () => ({ files, whole }),
      confinement: null,
      readable: [],
      environment: () => ({ PATH: "/usr/bin:/bin", LANG: "C.UTF-8" }),
      timeoutMs: INSPECT_TIMEOUT_MS,
    })
    if (!answer.ok) throw new Error(answer.problems.join("\n"))
    return answer.wheels
  }

  return {
    directory,
    inspect,

    /** By name. With `whole`, every byte is compared with what the wheel's RECORD says. */
    async list(whole = false): Promise<StoredWheel[]> {
      const names = await readdir(directory).catch(() => [])
      const files = names.filter((name) => PACKAGE_FILE.test(name)).sort()
      return inspect(
        files.map((name) => join(directory, name)),
        whole,
      )
    },

    /**
     * Takes over files, and those of folders. What is damaged or not what its name says is refused, and so is another file under a
     * name that is there already; the others are taken.
     * @throws the filesystem's error when a path is not there
     */
    async add(paths: readonly string[]): Promise<Added[]> {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const files = (await Promise.all(paths.map(filesOf))).flat()
      const added: Added[] = []
      for (const [index, wheel] of (await inspect(files, true)).entries()) {
        const path = files[index] ?? ""
        added.push({ file: wheel.file, ...(await take(path, wheel)) })
      }
      return added
    },
  }

  async function take(path: string, { file, problem, sha256 }: StoredWheel): Promise<Omit<Added, "file">> {
    if (problem !== null) return { outcome: "refused", problem }
    const place = join(directory, file)
    let replaced = false
    if ((await stat(place).catch(() => null)) !== null) {
      if ((await sha256OfFile(place)) === sha256) return { outcome: "there already", problem: null }
      const [old] = await inspect([place], true)
      if (old?.problem == null) {
        return { outcome: "refused", problem: `another sound file of this name is in the store; remove ${place} first` }
      }
      replaced = true
    }
    await writeDurably(place, async (target) => {
      for await (const chunk of createReadStream(path)) await target.writeFile(chunk)
    })
    return { outcome: replaced ? "replaced" : "added", problem: null }
  }
}

export type WheelStore = ReturnType<typeof wheelStore>

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => PACKAGE_FILE.test(basename(name))).sort()
  return names.map((name) => join(path, name))
}
