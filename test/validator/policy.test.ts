import { expect, test } from "bun:test"
import { RULE_SET_NAMES } from "../../src/rule-set-names.ts"
import { EQUAL_POWER } from "../../src/validator/equal-power/lookup.ts"
import { policyRules } from "../../src/validator/policy.ts"

test.each(RULE_SET_NAMES)(
  "every rule of %s has names, a reason and an alternative that reads as a sentence",
  (name) => {
    for (const { names, reason, instead } of policyRules(name)) {
      expect(names.length).toBeGreaterThan(0)
      expect(reason).not.toBe("")
      expect(instead).toMatch(/^[A-Z].*\.$/)
    }
  },
)

test("compat-2026-03 explains neither getattr nor hasattr, and still setattr and delattr", () => {
  const names = policyRules("compat-2026-03").flatMap((rule) => rule.names)
  expect(names).not.toContain("getattr")
  expect(names).not.toContain("hasattr")
  expect(names).toEqual(expect.arrayContaining(["setattr", "delattr", "eval"]))
  expect(policyRules("seed-2026-01").flatMap((rule) => rule.names)).toEqual(
    expect.arrayContaining(["getattr", "hasattr"]),
  )
})

test("no name stands in the tables of equal power twice", () => {
  const names = EQUAL_POWER.flatMap(({ modules = [], names = [] }) => [...modules, ...names])
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
})
