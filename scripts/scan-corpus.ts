/**
 * Scans the standard library, numpy and pandas file by file. Ends with 1 when the scan throws, or calls code a syntax error
 * that one of the interpreters at hand compiles.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { MAX_SOURCE_BYTES, scanFiles, type Violation } from "../src/validator/scan.ts"
import { pythonFiles, standardLibrary } from "./differential.ts"
import { startInterpreters } from "./differential-interpreters.ts"
import { seeded } from "./differential-mutants.ts"

const CORPUS = resolve(import.meta.dir, "../dist/corpus")
const FINDINGS = resolve(import.meta.dir, "../dist/corpus-findings.tsv")

const { values } = parseArgs({
  options: {
    sample: { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
    interpreters: { type: "string", default: "" },
  },
})
const interpreters = startInterpreters(process.env.PATH ?? "", values.interpreters.split(":").filter(Boolean))
const corpora: [string, string[]][] = [
  ["standard library", standardLibrary()],
  ["numpy", pythonFiles(join(CORPUS, "numpy"))],
  ["pandas", pythonFiles(join(CORPUS, "pandas"))],
]
const found: { file: string; violation: Violation; line: string }[] = []
let wrong = 0

for (const [name, files] of corpora) {
  const counts = { files: 0, lines: 0, flagged: 0, refused: 0, tooLarge: 0, wrong: 0 }
  for (const file of files) {
    const bytes = readFileSync(file)
    if (bytes.length > MAX_SOURCE_BYTES) {
      counts.tooLarge++
      continue
    }
    counts.files++
    const lines = bytes.toString("utf8").split(/\r\n|\r|\n/)
    counts.lines += lines.length
    let violations: readonly Violation[]
    try {
      const scan = scanFiles(new Map([["module.py", bytes]]), { strict: false })
      violations = scan.passed ? scan.warnings : scan.violations
    } catch (error) {
      console.log(`CRASH ${file}: ${error}`)
      counts.wrong++
      continue
    }
    if (violations.length > 0) counts.flagged++
    for (const violation of violations) {
      found.push({ file, violation, line: lines[violation.line - 1]?.trim() ?? "" })
      if (!/^(?:Syntax error|Too )/.test(violation.message)) continue
      const asked = await Promise.all(interpreters.map(({ ask }) => ask(bytes)))
      const compiles = asked.some((refusal) => refusal === null)
      // Odd encodings are refused by policy, whatever Python makes of them.
      const byPolicy = /encod|UTF-8|null byte/i.test(violation.message)
      counts.refused++
      console.log(`${compiles ? "COMPILES" : "refused by all"} ${file}:${violation.line} ${violation.message}`)
      if (compiles && !byPolicy) counts.wrong++
    }
  }
  wrong += counts.wrong
  console.log(
    `${name}: ${counts.files} files, ${counts.lines} lines, ${counts.flagged} flagged, ${counts.refused} called a syntax ` +
      `error, ${counts.wrong} of these wrongly or with a crash, ${counts.tooLarge} past the size limit`,
  )
}

const byMessage = new Map<string, number>()
for (const { violation } of found) byMessage.set(violation.message, (byMessage.get(violation.message) ?? 0) + 1)
console.log(`\n${found.length} findings, by message:`)
for (const [message, count] of [...byMessage].sort((a, b) => b[1] - a[1])) {
  console.log(`${String(count).padStart(6)} ${message.slice(0, 110)}`)
}
writeFileSync(
  FINDINGS,
  found
    .map(({ file, violation: { line, column, severity, message }, line: text }) =>
      [file, line, column, severity, message, text].join("\t"),
    )
    .join("\n"),
)
console.log(`\na sample of ${values.sample}, seed ${values.seed}; all are in ${FINDINGS}`)
const random = seeded(Number(values.seed))
for (let count = 0; count < Number(values.sample) && found.length > 0; count++) {
  const [taken] = found.splice(Math.floor(random() * found.length), 1)
  if (taken === undefined) break
  const { file, violation, line } = taken
  console.log(`${file}:${violation.line}:${violation.column} ${violation.severity} ${violation.message}\n    ${line}`)
}
for (const interpreter of interpreters) await interpreter[Symbol.asyncDispose]()
process.exitCode = wrong > 0 ? 1 : 0
