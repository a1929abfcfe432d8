/** What a plugin says it needs: `dependencies` of its manifest and `requirements.txt` at the top of its archive, line by line. */
import { open } from "node:fs/promises"
import { join } from "node:path"
import type { StatedRequirement } from "../workers/environments/plugin-environment.ts"

export const REQUIREMENTS_FILE = "requirements.txt"
/** pip-compile writes a hash per file of a package; the largest seen has 90 kB. */
const MAX_BYTES = 1024 * 1024

/** As python/environments/requirements_text.py has it, for both places together. */
export const MAX_REQUIREMENTS = 200

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
  const requirements = requirementLines(text)
  if (requirements.length <= MAX_REQUIREMENTS) return { ok: true, requirements }
  return {
    ok: false,
    problem: `${REQUIREMENTS_FILE} has ${requirements.length} requirements, ${MAX_REQUIREMENTS} are taken at most`,
  }
}

/** Comments and empty lines left out, continued lines joined, as pip reads such a file. */
export function requirementLines(text: string): StatedRequirement[] {
  const stated: StatedRequirement[] = []
  let first = 0
  let joined: string[] = []
  const end = () => {
    const whole = withoutComment(joined.join("")).trim()
    joined = []
    if (whole !== "") stated.push({ text: whole, origin: `${REQUIREMENTS_FILE}:${first}` })
  }
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\n|\r/)
    .entries()) {
    if (joined.length === 0) first = index + 1
    const comment = line.trimStart().startsWith("#")
    if (!comment && line.endsWith("\\")) {
      joined.push(`${line.slice(0, -1)} `)
      continue
    }
    if (!comment) joined.push(line)
    end()
  }
  end()
  return stated
}

/** A '#' begins one at the start and after a blank. One look from left to right: a line may be long and made to be slow. */
function withoutComment(line: string): string {
  for (let at = line.indexOf("#"); at >= 0; at = line.indexOf("#", at + 1)) {
    if (at === 0 || line[at - 1] === " " || line[at - 1] === "\t") return line.slice(0, at)
  }
  return line
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
