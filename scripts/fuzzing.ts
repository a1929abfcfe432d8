/**
 * What every fuzzer here does: inputs one after another until its time is over; each must be dealt with as it should be, in
 * a bounded time, and nothing of it may stay in memory.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"

/** Of processor time: on a machine that is shared the clock tells how busy the others are. */
const SLOWEST_MS = 2000
/** By the clock, for what waits and never ends. */
const STUCK_MS = 30_000
/** Past the first seconds, in which the compiler and the heap settle. */
const GROWTH_BYTES = 128 * 1024 * 1024
/** A forced collection takes longer than most inputs. */
const MEASURE_EVERY_MS = 250

export interface Fuzzed {
  readonly inputs: number
  /** Processor time of the slowest input. */
  readonly slowestMs: number
  readonly grownBytes: number
  /** What broke, and how; null when nothing did. */
  readonly broken: { readonly input: Uint8Array; readonly reason: string } | null
}

export interface FuzzOptions {
  readonly seconds: number
  readonly seed: number
}

interface Fuzzing {
  readonly seconds: number
  input(): Uint8Array
  /** What is wrong with how the input was dealt with; null when nothing is. What it throws is wrong, too. */
  feed(input: Uint8Array): Promise<string | null> | string | null
}

export async function fuzzFor({ seconds, input, feed }: Fuzzing): Promise<Fuzzed> {
  const started = performance.now()
  const settled = started + Math.min(seconds / 3, 30) * 1000
  let settledBytes: number | null = null
  let measured = started
  let grownBytes = 0
  let inputs = 0
  let slowestMs = 0
  while (performance.now() < started + seconds * 1000) {
    const next = input()
    const begun = process.cpuUsage()
    const wrong = await within(STUCK_MS, feed, next)
    const { user, system } = process.cpuUsage(begun)
    const took = (user + system) / 1000
    inputs++
    slowestMs = Math.max(slowestMs, took)
    const reason = wrong ?? (took > SLOWEST_MS ? `took ${Math.round(took)} ms of processor time` : null)
    if (reason !== null) return { inputs, slowestMs, grownBytes, broken: { input: next, reason } }
    if (performance.now() < Math.max(settled, measured + MEASURE_EVERY_MS)) continue
    const bytes = memory()
    measured = performance.now()
    settledBytes ??= bytes
    grownBytes = Math.max(0, bytes - settledBytes)
    if (grownBytes > GROWTH_BYTES)
      return { inputs, slowestMs, grownBytes, broken: { input: next, reason: "memory grew" } }
  }
  return { inputs, slowestMs, grownBytes, broken: null }
}

/** What never settles would otherwise stop the fuzzer without a word. */
async function within(milliseconds: number, feed: Fuzzing["feed"], input: Uint8Array): Promise<string | null> {
  try {
    const wrong = feed(input)
    if (!(wrong instanceof Promise)) return wrong
    const late = Promise.withResolvers<string>()
    const timer = setTimeout(() => late.resolve(`not done after ${milliseconds} ms`), milliseconds)
    return await Promise.race([wrong, late.promise]).finally(() => clearTimeout(timer))
  } catch (error) {
    return `threw ${error instanceof Error ? (error.stack ?? error) : String(error)}`
  }
}

function memory(): number {
  Bun.gc(true)
  return process.memoryUsage().rss
}

/** `--seconds N` and `--seed N`; prints what came out, keeps a breaking input below dist/ and then exits 1. */
export async function fuzzCommand(name: string, fuzz: (options: FuzzOptions) => Promise<Fuzzed>): Promise<never> {
  const { values } = parseArgs({
    options: { seconds: { type: "string", default: "600" }, seed: { type: "string", default: "1" } },
  })
  const { broken, ...counts } = await fuzz({ seconds: Number(values.seconds), seed: Number(values.seed) })
  console.log(JSON.stringify(counts))
  if (broken === null) process.exit(0)
  const kept = join(resolve(import.meta.dir, ".."), `dist/${name}.broken`)
  mkdirSync(dirname(kept), { recursive: true })
  writeFileSync(kept, broken.input)
  console.log(`${broken.reason}\n${broken.input.length} bytes, kept in ${kept}`)
  process.exit(1)
}
