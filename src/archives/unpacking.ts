/** What both readers share: refusing, and writing files while counting what really comes out of the archive. */
import { mkdir, open } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { ArchiveLimits } from "./archive-limits.ts"
import { EntryNames, type EntryType, isPathConfiguration } from "./entry-names.ts"

/** An archive that is refused; `problems` are sentences for the plugin's author. */
export class ArchiveRefused extends Error {
  override readonly name = "ArchiveRefused"

  constructor(readonly problems: readonly string[]) {
    super(problems[0] ?? "The archive is refused")
  }
}

/** After this many bad names the rest tells nothing new. */
const MAX_PROBLEMS = 20
/** Below this a high ratio hurts nobody: a short file of blanks compresses a thousandfold. */
const RATIO_FLOOR_BYTES = 1024 * 1024
/** As much of a file as `contentProblem` looks at. */
export const MAGIC_BYTES = 4096

export class Unpacking {
  readonly files: { path: string; bytes: number }[] = []
  unpackedBytes = 0
  private readonly names: EntryNames
  private readonly problems: string[] = []
  private readonly folders = new Set<string>()

  constructor(
    private readonly directory: string,
    private readonly packedBytes: number,
    private readonly limits: ArchiveLimits,
  ) {
    this.names = new EntryNames(limits)
  }

  /** The path to write to, or null when the entry's bytes are to be passed over. */
  accept(name: string, type: EntryType): string | null {
    const verdict = this.names.judge(name, type)
    if (this.names.full) throw new ArchiveRefused([`The archive has more than ${this.limits.files} entries`])
    if (verdict.verdict === "write") return verdict.path
    if (verdict.verdict === "refuse") this.problem(verdict.problem)
    return null
  }

  problem(text: string): void {
    this.problems.push(text)
    if (this.problems.length >= MAX_PROBLEMS) throw new ArchiveRefused(this.problems)
  }

  finish(): void {
    if (this.problems.length > 0) throw new ArchiveRefused(this.problems)
    if (this.files.length === 0) throw new ArchiveRefused(["The archive holds no files"])
  }

  /** Counts bytes as they come out, whatever the archive's headers promise. */
  count(bytes: number): void {
    this.unpackedBytes += bytes
    const { unpackedBytes, ratio } = this.limits
    if (this.unpackedBytes > unpackedBytes)
      throw new ArchiveRefused([`The archive unpacks to more than ${unpackedBytes} bytes`])
    if (this.unpackedBytes > RATIO_FLOOR_BYTES && this.unpackedBytes > this.packedBytes * ratio) {
      throw new ArchiveRefused([`The archive unpacks to more than ${ratio} times its size`])
    }
  }

  async makeFolder(path: string): Promise<void> {
    if (this.folders.has(path)) return
    await mkdir(join(this.directory, path), { recursive: true, mode: 0o755 })
    for (let folder = path; folder !== "."; folder = dirname(folder)) this.folders.add(folder)
  }

  /** Streams one file to disk, read-only and synced. The caller has counted, or counts, the chunks. */
  async writeFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const folder = dirname(path)
    if (folder !== ".") await this.makeFolder(folder)
    const file = await open(join(this.directory, path), "wx", 0o444)
    let bytes = 0
    let head = Buffer.alloc(0)
    try {
      for await (const chunk of chunks) {
        if (head.length < MAGIC_BYTES) head = Buffer.concat([head, chunk.subarray(0, MAGIC_BYTES - head.length)])
        bytes += chunk.length
        await writeWhole(file, chunk)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    const problem = contentProblem(path, head)
    if (problem !== null) this.problem(problem)
    this.files.push({ path, bytes })
    return bytes
  }
}

/** Why a file is refused for its first `MAGIC_BYTES`, whatever its name says; null for one that may stay. */
export function contentProblem(path: string, head: Buffer): string | null {
  if (holdsNativeCode(head)) return `'${path}': native code; only Python source is accepted`
  if (isPathConfiguration(path, head)) {
    return `'${path}': a path-configuration file, whose lines Python runs by itself; only PyTorch weights may be .pth`
  }
  return null
}

async function writeWhole(file: Awaited<ReturnType<typeof open>>, chunk: Uint8Array): Promise<void> {
  let written = 0
  while (written < chunk.length) written += (await file.write(chunk, written)).bytesWritten
}

/** ELF, Mach-O (both byte orders, both widths, universal), static libraries, and Windows programs. */
const NATIVE_MAGIC = [
  "7f454c46",
  "feedface",
  "feedfacf",
  "cefaedfe",
  "cffaedfe",
  "cafebabe",
  "cafebabf",
  "213c617263683e0a",
]

function holdsNativeCode(head: Buffer): boolean {
  const hex = head.subarray(0, 8).toString("hex")
  if (NATIVE_MAGIC.some((magic) => hex.startsWith(magic))) return true
  // `MZ` alone also starts texts: a program has its PE header where the field at 0x3c says.
  if (head.length < 64 || head.toString("latin1", 0, 2) !== "MZ") return false
  const header = head.readUInt32LE(0x3c)
  return head.toString("latin1", header, header + 4) === "PE\0\0"
}
