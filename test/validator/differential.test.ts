/**
 * The scan against the real thing. Whichever of Python 3.10 to 3.13 is on the PATH is asked, at least `python3`;
 * `scripts/differential` compares more mutants, and more interpreters when it is told where they are.
 */
import { expect, test } from "bun:test"
import { compare, standardLibrary, verdict } from "../../scripts/differential.ts"
import { startInterpreters } from "../../scripts/differential-interpreters.ts"
import { NEWER_ONLY, REFUSED, VALID } from "./syntax-cases.ts"

const interpreters = startInterpreters(process.env.PATH ?? "")
const versions = interpreters.map(({ version }) => version).join(", ")

test(`the scan refuses what compile() of Python ${versions} refuses, of 600 mutants of the standard library`, async () => {
  expect(interpreters.length).toBeGreaterThan(0)
  const { compared, refused, disagreements } = await compare(standardLibrary(), interpreters, { mutants: 600, seed: 4 })
  expect(compared).toBe(600)
  expect(refused).toBeGreaterThan(100)
  // What a newer interpreter would compile may not be on this machine; the scan may accept it, never refuse what compiles.
  const newest = interpreters.some(({ version }) => version === "3.13")
  expect(disagreements.filter(({ scan, mutant }) => scan !== null || newest || !NEWER_ONLY.test(mutant))).toEqual([])
}, 180_000)

test("the scan and the interpreters agree on every case of the table", async () => {
  const wrong: string[] = []
  for (const source of [...VALID, ...REFUSED]) {
    const bytes = Buffer.from(`${source}\n`)
    const answers = await Promise.all(interpreters.map(({ ask }) => ask(bytes)))
    const compiles = answers.includes(null)
    const accepted = verdict(bytes) === null
    if (compiles && !accepted) wrong.push(`refused: ${source}`)
    if (!compiles && accepted && interpreters.length === 4) wrong.push(`accepted: ${source}`)
  }
  expect(wrong).toEqual([])
}, 180_000)

test("no file of the standard library is called a syntax error", async () => {
  const wrong: string[] = []
  for (const file of standardLibrary()) {
    const bytes = await Bun.file(file).bytes()
    const refused = verdict(bytes)
    if (refused === null || /encoding|UTF-8/.test(refused.message)) continue
    const answers = await Promise.all(interpreters.map(({ ask }) => ask(bytes)))
    if (answers.includes(null)) wrong.push(`${file}:${refused.line}:${refused.column} ${refused.message}`)
  }
  expect(wrong).toEqual([])
}, 180_000)
