import { expect, setDefaultTimeout, test } from "bun:test"
import { mixpeek, PROCESSES_MS } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

test("plugin rules explains each rule, its reason and what to use instead", async () => {
  const { code, stdout } = await mixpeek(["plugin", "rules"])
  expect(code).toBe(0)
  expect(stdout).toContain("Rule set seed-2026-01")
  expect(stdout).toMatch(
    /error name of equal power \(like subprocess\)\n {2}.*asyncio\.create_subprocess_exec.*\n {2}why: starts processes\n {2}instead: Do the work/,
  )
})

test("plugin rules --json lists them for a program, of the rule set of the setting", async () => {
  const { code, stdout } = await mixpeek(["plugin", "rules", "--json"], {
    environment: { MIXPEEK_RULE_SET: "compat-2026-03" },
  })
  expect(code).toBe(0)
  const answer = JSON.parse(stdout)
  expect(answer).toMatchObject({ rule_set: "compat-2026-03", rule_sets: ["seed-2026-01", "compat-2026-03"] })
  expect(answer.rules).toContainEqual({
    rule: "name of equal power",
    names: expect.arrayContaining(["gc.get_objects", "gc.get_referrers", "gc.get_referents"]),
    severity: "error",
    reason: "reaches every object of the process",
    instead: "Keep your own references, weak ones if need be.",
    like: "globals",
    unless: null,
  })
  expect(answer.rules.flatMap((rule: { names: string[] }) => rule.names)).not.toContain("getattr")
})

test.each([
  [["--rule-set", "nonsense"], {}, "--rule-set is 'nonsense'"],
  [[], { MIXPEEK_RULE_SET: "nonsense" }, "MIXPEEK_RULE_SET is 'nonsense'"],
])("an unknown rule set is a mistake of usage: %j", async (args, environment, message) => {
  const { code, stderr } = await mixpeek(["plugin", "rules", ...args], { environment })
  expect(code).toBe(2)
  expect(stderr).toContain(message)
})
