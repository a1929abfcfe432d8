/**
 * The table "operation → test": four tests per operation that is served, whose titles `scripts/operations-table.ts` reads
 * from the report. What an operation is asked stands in `operations/<noun>.ts`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { expectAnswer, expectForeign, expectMalformed, expectRefusals } from "./operations/entry.ts"
import { type Fixtures, fixtures } from "./operations/fixtures.ts"
import { foreignIdTests } from "./operations/foreign-ids.ts"
import { idempotencyTests } from "./operations/idempotency.ts"
import { keyTests } from "./operations/keys.ts"
import { publicApiTests } from "./operations/public-api.ts"
import { operationsOf, TABLE } from "./operations/table.ts"

const DIST = resolve(import.meta.dir, "../../dist")

let appliance: TestAppliance
let f: Fixtures

beforeAll(async () => {
  appliance = await startTestAppliance()
  f = await fixtures(appliance)
  mkdirSync(DIST, { recursive: true })
  writeFileSync(join(DIST, "operations.json"), `${JSON.stringify(operationsOf(f.openapi), null, 2)}\n`)
})
afterAll(() => appliance[Symbol.asyncDispose]())

test("the table has every operation that is served, once, and no other", () => {
  expect(TABLE.map((entry) => entry.operation).sort()).toEqual(operationsOf(f.openapi).sort())
})

const FOREIGN = {
  hidden: "another organization's key gets 404 and changes nothing",
  own: "another organization's key sees only its own",
  public: "another organization's key changes nothing, for none is asked",
}

for (const entry of TABLE) {
  const { operation, answers, refuses, foreign, malformed } = entry
  const why = foreign.is === "public" ? `: ${foreign.because}` : ""
  const bad = typeof malformed === "string" ? { json: "answers 4xx", none: "is not read" }[malformed] : "answers 4xx"
  test(`${operation}: answers ${answers.what}`, () => expectAnswer(f, entry))
  test(`${operation}: refuses ${refuses.map(({ what }) => what).join(", ")}`, () => expectRefusals(f, entry))
  test(`${operation}: ${FOREIGN[foreign.is]}${why}`, () => expectForeign(f, entry))
  test(`${operation}: a malformed body ${bad}`, () => expectMalformed(f, entry))
}

publicApiTests(() => f)
foreignIdTests(() => f)
keyTests(() => f)
idempotencyTests(() => f)
