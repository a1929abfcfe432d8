/**
 * Scans random bytes and mutated Python for as long as it is told (`--seconds N`, default 600; `--seed N`): the scan must
 * neither throw, nor take more than two seconds for a file, nor keep memory. Exits 1 with the input that breaks it.
 */
import { readFileSync } from "node:fs"
import { scanFiles } from "../src/validator/scan.ts"
import { decodeSource } from "../src/validator/source-text.ts"
import { standardLibrary } from "./differential.ts"
import { mutate, seeded } from "./differential-mutants.ts"
import { type Fuzzed, type FuzzOptions, fuzzCommand, fuzzFor } from "./fuzzing.ts"

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

export async function fuzz({ seconds, seed, files }: FuzzOptions & { files: readonly string[] }): Promise<Fuzzed> {
  const random = seeded(seed)
  const any = () => readFileSync(files[Math.floor(random() * files.length)] ?? "")
  let sources = [any(), any()] as const
  let made = 0
  return fuzzFor({
    seconds,
    input() {
      if (++made % 10 === 0) sources = [any(), any()]
      return input(...sources, random)
    },
    feed(source) {
      scanFiles(new Map([["core.py", source]]), { strict: random() < 0.5 })
      return null
    },
  })
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

if (import.meta.main) await fuzzCommand("fuzz-scan", (options) => fuzz({ ...options, files: standardLibrary() }))
