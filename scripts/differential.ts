/**
 * Compares the scan's verdict on mutated Python with `compile()` of the interpreters at hand: `bun scripts/differential.ts
 * [--mutants N] [--seed N] [--sources DIRECTORY] [--interpreters DIRECTORY:…]`. Prints every disagreement and its count.
 */
import { parseArgs } from "node:util"
import { decodeSource, positionAt } from "../src/validator/source-text.ts"
import { checkSyntax } from "../src/validator/syntax/check-syntax.ts"
import { type Interpreter, type Refusal, startInterpreters } from "./differential-interpreters.ts"
import { mutate, seeded } from "./differential-mutants.ts"

export interface Disagreement {
  readonly mutant: string
  /** What the scan says, when it refuses what an interpreter compiles. */
  readonly scan: Refusal | null
  /** What each interpreter says, when all refuse what the scan accepts. */
  readonly interpreters: readonly (Refusal & { version: string })[]
}

export interface Comparison {
  readonly compared: number
  readonly refused: number
  /** Refused by both at the same line. */
  readonly sameLine: number
  readonly disagreements: readonly Disagreement[]
}

/** Mutants of `files`, taken in the seed's order, asked of every interpreter. */
export async function compare(
  files: readonly string[],
  interpreters: readonly Interpreter[],
  options: { mutants: number; seed: number },
): Promise<Comparison> {
  const random = seeded(options.seed)
  const disagreements: Disagreement[] = []
  let compared = 0
  let refused = 0
  let sameLine = 0
  const read = async () => decodeSource(await Bun.file(files[Math.floor(random() * files.length)] ?? "").bytes())
  while (compared < options.mutants) {
    const [source, other] = [await read(), await read()]
    // A file in another encoding is refused by policy; nothing can be compared.
    if (!source.ok || !other.ok) continue
    for (let count = 0; count < 5 && compared < options.mutants; count++) {
      const mutant = mutate(source.text, other.text, random)
      const scan = verdict(Buffer.from(mutant))
      const asked = await Promise.all(
        interpreters.map(async ({ version, ask }) => ({ version, refusal: await ask(Buffer.from(mutant)) })),
      )
      compared++
      const refusals = asked.flatMap(({ version, refusal }) => (refusal === null ? [] : [{ version, ...refusal }]))
      const compiles = refusals.length < asked.length
      if (scan !== null) refused++
      if (scan !== null && refusals.some(({ line }) => line === scan.line)) sameLine++
      if (compiles === (scan === null)) continue
      disagreements.push({ mutant, scan, interpreters: refusals })
    }
  }
  return { compared, refused, sameLine, disagreements }
}

/** The scan's verdict on the syntax of one file; null when it accepts. */
export function verdict(bytes: Uint8Array): Refusal | null {
  const source = decodeSource(bytes)
  if (!source.ok) return { line: source.line, column: source.column, message: source.reason }
  const { problem } = checkSyntax(source.text)
  return problem === null ? null : { ...positionAt(source.text, problem.index), message: problem.message }
}

export function standardLibrary(): string[] {
  const { stdout } = Bun.spawnSync(["python3", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"])
  return pythonFiles(stdout.toString().trim())
}

export function pythonFiles(directory: string): string[] {
  const files = [...new Bun.Glob("**/*.py").scanSync({ cwd: directory, absolute: true })]
  return files.filter((file) => !/site-packages|lib2to3\/tests|\/bad_/.test(file)).sort()
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      mutants: { type: "string", default: "4000" },
      seed: { type: "string", default: "1" },
      sources: { type: "string" },
      interpreters: { type: "string", default: "" },
    },
  })
  const files = values.sources === undefined ? standardLibrary() : pythonFiles(values.sources)
  const interpreters = startInterpreters(process.env.PATH ?? "", values.interpreters.split(":").filter(Boolean))
  const result = await compare(files, interpreters, { mutants: Number(values.mutants), seed: Number(values.seed) })
  for (const { mutant, scan, interpreters } of result.disagreements) {
    const said = scan === null ? interpreters.map(described).join("\n  ") : described({ version: "the scan", ...scan })
    const line = mutant.split("\n")[(scan?.line ?? interpreters.at(-1)?.line ?? 1) - 1]
    console.log(`${scan === null ? "ACCEPTED" : "REFUSED"}\n  ${said}\n  ${JSON.stringify(line)}`)
  }
  const { compared, refused, sameLine, disagreements } = result
  const versions = interpreters.map(({ version }) => version).join(", ")
  console.log(`${compared} mutants against Python ${versions}: ${disagreements.length} disagreements`)
  console.log(`${refused} refused, ${sameLine} of them at a line an interpreter names too`)
  for (const interpreter of interpreters) await interpreter[Symbol.asyncDispose]()
}

function described({ version, line, column, message }: Refusal & { version: string }): string {
  return `${version} ${line}:${column} ${message}`
}
