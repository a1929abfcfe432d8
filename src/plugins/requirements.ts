/** What a plugin says it needs: `dependencies` of its manifest and `requirements.txt` at the top of its archive, line by line. */
import { open } from "node:fs/promises"
import { join } from "node:path"
import type { StatedRequirement } from "../workers/environments/plugin-environment.ts"

export const REQUIREMENTS_FILE = "requirements.txt"
/** pip-compile writes a hash per file of a package; the largest seen has 90 kB. */
const MAX_BYTES = 1024 * 1024

export type RequirementsFile =
  | { readonly ok: true; readonly requirements: StatedRequirement[] }
  | { readonly ok: false; readonly problem: string }

/** Of the plugin's directory; none when there is no such file. */
export async function readRequirementsFile(directory: string): Promise<RequirementsFile> {
  const text = await textOf(join(directory, REQUIREMENTS_FILE))
  if (text === null) return { ok: true, requirements: [] }
  if (text === undefined) {
    return { ok: false, problem: `${REQUIREMENTS_FILE} has more than ${MAX_BYTES} bytes, or is not UTF-8 text` }
  }
  return { ok: true, requirements: requirementLines(text) }
}

/** Comments and empty lines left out, continued lines joined, as pip reads such a file. */
export function requirementLines(text: string): StatedRequirement[] {
  const stated: StatedRequirement[] = []
  let first = 0
  let joined = ""
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\n|\r/)
    .entries()) {
    if (joined === "") first = index + 1
    const comment = /^\s*#/.test(line)
    if (!comment && line.endsWith("\\")) {
      joined += `${line.slice(0, -1)} `
      continue
    }
    const whole = `${joined}${comment ? "" : line}`.replace(/(^|\s)#.*$/, "").trim()
    joined = ""
    if (whole !== "") stated.push({ text: whole, origin: `${REQUIREMENTS_FILE}:${first}` })
  }
  const rest = joined.trim()
  return rest === "" ? stated : [...stated, { text: rest, origin: `${REQUIREMENTS_FILE}:${first}` }]
}

/** Of a manifest's `dependencies`. */
export function manifestRequirements(dependencies: readonly string[]): StatedRequirement[] {
  return dependencies.map((text, index) => ({ text: text.trim(), origin: `manifest.py, dependencies[${index}]` }))
}

/** Null when it is not there, undefined when it cannot be taken. */
async function textOf(path: string): Promise<string | null | undefined> {
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path, "r")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null
    throw error
  }
  try {
    const stats = await file.stat()
    if (!stats.isFile() || stats.size > MAX_BYTES) return undefined
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.readFile())
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  } finally {
    await file.close()
  }
}
