/**
 * The zip that is uploaded: one top directory, entries sorted, one fixed time and mode, so that the same files make the
 * same bytes on every machine.
 */
import { createWriteStream } from "node:fs"
import { stat } from "node:fs/promises"
import { pipeline } from "node:stream/promises"
import { ZipFile } from "yazl"
import type { PluginDirectory } from "./plugin-directory.ts"

/** The earliest moment a zip can name; written as local time, without a time zone. */
const MODIFIED = new Date(1980, 0, 1)
const MODE = 0o100644

/** Writes the archive to `target`, which must not exist. Returns its size in bytes. */
export async function packPlugin(plugin: PluginDirectory, topDirectory: string, target: string): Promise<number> {
  const zip = new ZipFile()
  const failed = new Promise<never>((_, reject) => zip.once("error", reject))
  for (const { path, absolute } of plugin.files) {
    zip.addFile(absolute, `${topDirectory}/${path}`, { mtime: MODIFIED, mode: MODE, forceDosTimestamp: true })
  }
  zip.end()
  await Promise.race([pipeline(zip.outputStream, createWriteStream(target, { flags: "wx", mode: 0o600 })), failed])
  return (await stat(target)).size
}
