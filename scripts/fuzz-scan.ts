/**
 * Scans random bytes and mutated Python for as long as it is told (`--seconds N`, default 600; `--seed N`): the scan must
 * neither throw, nor take more than two seconds for a file, nor keep memory. Exits 1 with the input that breaks it.
 */
import { parseArgs } from "node:util"
import { scanFiles } from "../src/validator/scan.ts"
import { decodeSource } from "../src/validator/source-text.ts"
import { standardLibrary } from "./differential.ts"
import { mutate, seeded } from "./differential-mutants.ts"

const SLOWEST_MS = 2000
/** Past the first seconds, in which the compiler and the parser's heap settle. */
const GROWTH_BYTES = 128 * 1024 * 1024
const PIECES = [
  "(",
  "[",
  "{",
  "f'{",
  "'''",
  "\\\n",
  "\n ",
  "\t",
  "lambda:",
  "not ",
  "- ",
  "if x:\n",
  "x",
  "=",
  ":=",
  "\u00a0",
  "\0",
]

export interface FuzzResult {
  readonly scanned: number
  readonly slowestMs: number
  readonly grownBytes: number
  /** What broke the scan, and how; null when nothing did. */
  readonly broken: { readonly source: Uint8Array; readonly reason: string } | null
}

export async function fuzz(options: { seconds: number; seed: number; files: readonly string[] }): Promise<FuzzResult> {
  const { seconds, seed, files } = options
  const random = seeded(seed)
  const end = performance.now() + seconds * 1000
  const settled = performance.now() + Math.min(seconds / 3, 30) * 1000
  let settledBytes = 0
  let scanned = 0
  let slowestMs = 0
  const state = () => ({ scanned, slowestMs, grownBytes: Math.max(0, memory() - (settledBytes || memory())) })
  const any = () => files[Math.floor(random() * files.length)] ?? ""
  while (performance.now() < end) {
    const [first, second] = [await Bun.file(any()).bytes(), await Bun.file(any()).bytes()]
    for (let count = 0; count < 10; count++) {
      const source = input(first, second, random)
      const started = performance.now()
      try {
        scanFiles(new Map([["core.py", source]]), { strict: random() < 0.5 })
      } catch (error) {
        return { ...state(), broken: { source, reason: `threw ${error}` } }
      }
      const took = performance.now() - started
      scanned++
      slowestMs = Math.max(slowestMs, took)
      if (took > SLOWEST_MS) return { ...state(), broken: { source, reason: `took ${Math.round(took)} ms` } }
    }
    if (settledBytes === 0 && performance.now() > settled) settledBytes = memory()
    if (state().grownBytes > GROWTH_BYTES) {
      return { ...state(), broken: { source: new Uint8Array(), reason: "memory grew" } }
    }
  }
  return { ...state(), broken: null }
}

function memory(): number {
  Bun.gc(true)
  return process.memoryUsage().rss
}

function input(first: Uint8Array, second: Uint8Array, random: () => number): Uint8Array {
  const choice = random()
  if (choice < 0.6) {
    const [source, other] = [decodeSource(first), decodeSource(second)]
    return source.ok && other.ok ? Buffer.from(mutate(source.text, other.text, random)) : first
  }
  if (choice < 0.8) return scrambled(first, random)
  if (choice < 0.9) return Uint8Array.from({ length: Math.floor(random() * 4000) }, () => Math.floor(random() * 256))
  return Buffer.from(repeated(random))
}

/** Some bytes of a file changed. */
function scrambled(source: Uint8Array, random: () => number): Uint8Array {
  const changed = Uint8Array.from(source.subarray(0, 20_000))
  for (let left = 1 + Math.floor(random() * 20); left > 0 && changed.length > 0; left--) {
    changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256)
  }
  return changed
}

/** One or two pieces many times over: what nests or never ends. */
function repeated(random: () => number): string {
  const piece = () => PIECES[Math.floor(random() * PIECES.length)] ?? ""
  return (piece() + piece()).repeat(Math.floor(random() * 20_000)) + piece()
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { seconds: { type: "string", default: "600" }, seed: { type: "string", default: "1" } },
  })
  const { broken, ...counts } = await fuzz({
    seconds: Number(values.seconds),
    seed: Number(values.seed),
    files: standardLibrary(),
  })
  console.log(JSON.stringify(counts))
  if (broken !== null) {
    console.log(
      `${broken.reason}: ${JSON.stringify(Buffer.from(broken.source).toString("latin1").slice(0, 120))} … ${broken.source.length} bytes, ends ${JSON.stringify(Buffer.from(broken.source.slice(-30)).toString("latin1"))}`,
    )
    process.exit(1)
  }
}
