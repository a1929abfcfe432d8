/**
 * The libraries that sample plugins use where they are installed. Their wheels come once, from the package index that the base
 * environment came from, by the command that an admin uses.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { commandLine, SHARED_DATA } from "./appliance.ts"

const LIBRARIES = ["pillow>=11.3", "av>=12", "pypdfium2>=5"]

export interface MediaPackages {
  /** Directory of the wheels. */
  readonly wheels: string
  /** Directory from which Python imports them. */
  readonly packages: string
}

export async function mediaPackages(): Promise<MediaPackages> {
  const ready = join(SHARED_DATA, "media")
  const at = (root: string) => ({ wheels: join(root, "wheels"), packages: join(root, "packages") })
  if (existsSync(ready)) return at(ready)
  mkdirSync(SHARED_DATA, { recursive: true })
  const making = mkdtempSync(join(SHARED_DATA, "media-"))
  try {
    const { wheels, packages } = at(making)
    mkdirSync(wheels)
    const target = join(making, "target.json")
    await Bun.write(target, await said(...commandLine(), "doctor", "--target", "--data", SHARED_DATA))
    const download = ["wheels", "download", ...LIBRARIES, "--for", target, "--to", wheels, "--data", SHARED_DATA]
    await said(...commandLine(), ...download)
    for (const wheel of readdirSync(wheels).filter((name) => name.endsWith(".whl"))) {
      await said("python3", "-m", "zipfile", "-e", join(wheels, wheel), packages)
    }
    // Whoever was first is right: it is the same.
    if (!existsSync(ready)) renameSync(making, ready)
    return at(ready)
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}

async function said(...words: string[]): Promise<string> {
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")} failed:\n${out}${errors}`)
  return out
}
