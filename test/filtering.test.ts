import { expect, test } from "bun:test"
import { matches, parseFilter } from "../src/filtering.ts"

const words = (count: number) => ({ field: "a", operator: "words", value: Array(count).fill("w").join(" ") })

test.each<[string, unknown]>([
  ["empty trees", { AND: Array(1000).fill({ AND: [] }) }],
  ["words of one condition", words(201)],
  ["words of many conditions", { AND: Array(5).fill(words(50)) }],
  ["conditions", { OR: Array(201).fill({ field: "a", value: 1 }) }],
])("a filter of too many %s is refused: each becomes a part of a statement", (_, filter) => {
  expect(() => parseFilter(filter)).toThrow("more than 200 conditions")
})

test("a filter of 150 conditions, and one of 150 words, are taken", () => {
  expect(parseFilter({ AND: Array(150).fill({ field: "a", value: 1 }) })).not.toBeNull()
  expect(parseFilter(words(150))).not.toBeNull()
})

test("a condition with a key that is none is refused at that key, not read as an equality", () => {
  expect(() => parseFilter({ AND: [{ field: "a", op: "gt", value: 3 }] })).toThrow("filters.AND.0.op is not field")
  expect(parseFilter({ field: "a", operator: "gt", value: 3, case_sensitive: true })).not.toBeNull()
})

test("a condition without a field is refused, not read as fields of the names operator and value", () => {
  expect(() => parseFilter({ operator: "eq", value: 3 })).toThrow("filters.field is required")
  expect(() => parseFilter({ AND: [{ operator: "gt", value: 3 }] })).toThrow("filters.AND.0.field is required")
  expect(matches(parseFilter({ operator: "Schmidt", value: 3 }), { operator: "Schmidt", value: 3 })).toBe(true)
})

test("a bare condition heeds its case_sensitive, and one that is no boolean is refused", () => {
  const condition = { field: "a", operator: "eq", value: "B" }
  expect(matches(parseFilter({ ...condition, case_sensitive: true }), { a: "b" })).toBe(false)
  expect(matches(parseFilter({ ...condition, case_sensitive: false }, true), { a: "b" })).toBe(true)
  for (const asked of [condition, { AND: [condition] }, { a: "B" }]) {
    expect(() => parseFilter({ ...asked, case_sensitive: "no" })).toThrow(
      "filters.case_sensitive must be true or false",
    )
  }
})
