/** Which names an archive may carry, and what each entry becomes: a file, a folder, nothing. */
import type { ArchiveLimits } from "./archive-limits.ts"

export type EntryType = "file" | "directory" | "other"

export type EntryVerdict =
  | { readonly verdict: "write"; readonly path: string }
  | { readonly verdict: "skip" }
  | { readonly verdict: "refuse"; readonly problem: string }

/** What archivers and interpreters leave beside a plugin's files: never written, and no reason to refuse. */
const SKIPPED_PARTS = new Set(["__MACOSX", ".DS_Store", "__pycache__", ".git"])
/** macOS puts a file's extended attributes into a companion of this name. */
const SKIPPED_PREFIX = "._"
const NATIVE = /\.(?:so(?:\.\d+)*|pyd|dll|dylib|a|lib|exe)$/i
const BYTE_CODE = /\.(?:pyc|pyo)$/i
const PACKED_CODE = /\.(?:egg|whl|pyz)$/i
const CUSTOMIZE = /^(?:sitecustomize|usercustomize)(?:\..*)?$/
const PACKAGES = /^(?:site-packages|dist-packages)$/
/** Control and format characters show nothing, or turn the text around, and make two names look like one. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The name as text; null when it is not UTF-8. */
export function decodeName(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

/** Judges entries one by one, in the archive's order; remembers the accepted ones to find names that collide. */
export class EntryNames {
  private readonly taken = new Map<string, { path: string; type: "file" | "directory" }>()
  private entries = 0

  constructor(private readonly limits: Pick<ArchiveLimits, "files" | "depth" | "pathBytes">) {}

  /** Folders and skipped entries count too. */
  get full(): boolean {
    return this.entries > this.limits.files
  }

  judge(name: string, type: EntryType): EntryVerdict {
    this.entries++
    const parts = partsOf(name)
    const problem = this.nameProblem(name, parts)
    if (problem !== null) return refuse(name, problem)
    if (parts.length === 0) return type === "directory" ? { verdict: "skip" } : refuse(name, "an empty name")
    if (parts.some((part) => SKIPPED_PARTS.has(part)) || parts.at(-1)?.startsWith(SKIPPED_PREFIX))
      return { verdict: "skip" }
    if (type === "other") return refuse(name, "a link, device or pipe; only files and folders are accepted")
    const path = parts.join("/")
    const carried = selfRunning(parts) ?? (type === "file" ? carriedCode(path) : null)
    if (carried !== null) return refuse(name, carried)
    const clash = this.claim(parts, type)
    return clash === null ? { verdict: "write", path } : refuse(name, clash)
  }

  private nameProblem(name: string, parts: readonly string[]): string | null {
    if (INVISIBLE.test(name)) return "a name with control or invisible characters"
    if (name.includes("\\")) return "a name with a backslash"
    if (name.startsWith("/") || /^[A-Za-z]:/.test(name)) return "an absolute name"
    if (parts.includes("..")) return "a name that climbs out of the archive"
    if (parts.includes("") || parts.includes(".")) return "a name with empty parts"
    if (Buffer.byteLength(name) > this.limits.pathBytes) return `a name longer than ${this.limits.pathBytes} bytes`
    if (parts.length > this.limits.depth) return `a name nested more than ${this.limits.depth} deep`
    return null
  }

  /** Null when the name is free. Names that differ only in case or composition are one on some filesystems. */
  private claim(parts: readonly string[], type: "file" | "directory"): string | null {
    for (let length = 1; length <= parts.length; length++) {
      const path = parts.slice(0, length).join("/")
      const wanted = length === parts.length ? type : "directory"
      const key = folded(path)
      const known = this.taken.get(key)
      if (known === undefined) this.taken.set(key, { path, type: wanted })
      else if (known.type !== wanted) return `the name of a file and of a folder (${known.path})`
      else if (known.path !== path) return `differs from ${known.path} only in letter case or composition`
      else if (wanted === "file") return "a name that is there twice"
    }
    return null
  }
}

function refuse(name: string, problem: string): EntryVerdict {
  return { verdict: "refuse", problem: `${shown(name)}: ${problem}` }
}

/** `./a/b/` is `a/b`: tar writes the dot when it is given a folder. */
function partsOf(name: string): string[] {
  const plain = name.replace(/^(?:\.\/)+/, "").replace(/\/$/, "")
  return plain === "" || plain === "." ? [] : plain.split("/")
}

function carriedCode(path: string): string | null {
  if (NATIVE.test(path)) return "native code; only Python source is accepted"
  if (BYTE_CODE.test(path)) return "byte code, which cannot be scanned; pack the source"
  if (PACKED_CODE.test(path)) return "packed Python code, which cannot be scanned; pack the source itself"
  return null
}

/**
 * Python runs `sitecustomize` and `usercustomize` at every start, and lines of a `.pth` in a folder of packages. Elsewhere a
 * `.pth` may be a model's weights; those are told by their bytes (`isPathConfiguration`).
 */
function selfRunning(parts: readonly string[]): string | null {
  if (parts.some((part) => CUSTOMIZE.test(folded(part))))
    return "Python runs it by itself at every start; call it from the pipeline instead"
  const runs = /\.pth$/i.test(folded(parts.at(-1) ?? ""))
  const folder = parts.slice(0, -1)
  if (runs && (folder.length === 0 || folder.some((part) => PACKAGES.test(folded(part))))) {
    return "a path-configuration file, whose lines Python runs by itself; weights belong in a folder such as models/"
  }
  return null
}

/**
 * Whether a `.pth` file is lines for Python's `site` and not weights: what torch writes is a zip archive, before 1.6 a pickle
 * of protocol 2 or more, and neither is text.
 */
export function isPathConfiguration(path: string, head: Uint8Array): boolean {
  if (!/\.pth$/i.test(folded(path))) return false
  const zip = head[0] === 0x50 && head[1] === 0x4b && head[2] === 0x03 && head[3] === 0x04
  const pickle = head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5
  return !zip && !pickle
}

function folded(path: string): string {
  return path.normalize("NFKD").toUpperCase().toLowerCase().normalize("NFKC")
}

/** A name as it may stand in an error: bounded, invisible characters escaped. */
function shown(name: string): string {
  const escaped = [...name.slice(0, 200)].map((character) =>
    INVISIBLE.test(character) ? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}` : character,
  )
  return `'${escaped.join("")}'`
}
