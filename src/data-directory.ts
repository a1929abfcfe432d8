import { chmod, mkdir, readdir } from "node:fs/promises"
import { ConfigError } from "./config.ts"

/** What may lie in a data directory before its first start: made by `runtime setup`, or by whoever starts the server. */
const BEFORE_FIRST_START = new Set([
  "environments",
  "runtime",
  "wheels",
  "serve.log",
  "lock",
  "holder.json",
  "lost+found",
])

/**
 * Makes the directory, for its owner alone. A directory that holds something else is not taken over: its files would be
 * mixed with ours and its mode changed. @throws ConfigError saying what is wrong with it
 */
export async function prepareDataDirectory(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    const entries = (await readdir(dataDir)).filter((name) => !name.startsWith("."))
    const foreign = entries.includes("metadata.sqlite")
      ? undefined
      : entries.find((name) => !BEFORE_FIRST_START.has(name))
    if (foreign !== undefined) {
      throw new ConfigError(
        `--data ${dataDir} holds '${foreign}' and no appliance's data; name an empty or a new directory.`,
      )
    }
    await chmod(dataDir, 0o700)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(
      `--data ${dataDir} cannot be a data directory: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}
