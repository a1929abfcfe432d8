import { describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { MAX_PLUGIN_SOURCE_BYTES, MAX_SOURCE_BYTES, scanFiles } from "../../src/validator/scan.ts"
import { briefly, report, scan, violationsOf } from "./scanner.ts"

test("violations come sorted by file, line, column and message, each once, whatever the order of the files", () => {
  const sources = { "b.py": "eval(eval)\n", "a/z.py": "import socket, pty\n", "a.py": "x\nopen\n" }
  const places = violationsOf(scan(sources)).map(({ file, line, column, message }) => [
    file,
    line,
    column,
    message.slice(0, 24),
  ])
  expect(places).toEqual([
    ["a.py", 2, 0, "Forbidden builtin: open "],
    ["a/z.py", 1, 0, "Forbidden import: pty"],
    ["a/z.py", 1, 0, "Forbidden import: socket"],
    ["b.py", 1, 0, "Forbidden builtin: eval "],
    ["b.py", 1, 5, "Forbidden builtin: eval "],
  ])
  expect(scan(Object.fromEntries(Object.entries(sources).reverse()))).toEqual(scan(sources))
})

test("warnings stand among the violations of a scan that fails", () => {
  expect(briefly(scan("import pickle\neval(x)\n"))).toEqual(["1:0 Use of pickle", "2:0 Forbidden builtin: eval"])
})

test("every .py in any letter case is scanned, nothing else", () => {
  const sources = {
    "a.PY": "eval",
    "tests/deep/conftest.py": "eval",
    "readme.txt": "eval(",
    "a.pyi": "eval(",
    py: "eval(",
  }
  expect(violationsOf(scan(sources)).map(({ file }) => file)).toEqual(["a.PY", "tests/deep/conftest.py"])
})

test("a plugin without Python passes", () => {
  expect(scan({})).toEqual({ passed: true, warnings: [] })
})

test("comments that ask for silence do nothing", () => {
  expect(scan("eval(x)  # noqa: S307 nosec type: ignore\n").passed).toBe(false)
})

test("the report names its rule set, the seed's when none is chosen", () => {
  expect(report("x = 1\n").ruleSet).toBe("seed-2026-01")
  expect(report("eval\n", { ruleSet: "compat-2026-03" })).toMatchObject({ passed: false, ruleSet: "compat-2026-03" })
})

describe("limits", () => {
  test("a file past the size is refused by name", () => {
    const found = violationsOf(scan({ "data.py": "x = 1\n".repeat(MAX_SOURCE_BYTES / 6 + 1) }))
    expect(found).toMatchObject([
      { file: "data.py", line: 1, column: 0, severity: "error", message: expect.stringContaining("Too large") },
    ])
  })

  test("files past the size together are refused by name", () => {
    const comment = `#${" ".repeat(MAX_SOURCE_BYTES - 1)}`
    const files = Array.from({ length: MAX_PLUGIN_SOURCE_BYTES / MAX_SOURCE_BYTES + 1 }, (_, index) => [
      `${index}.py`,
      comment,
    ])
    expect(violationsOf(scan(Object.fromEntries(files))).map(({ file }) => file)).toEqual(["8.py"])
  })

  test("names that chase one another past the limit make the plugin too complex", () => {
    const chain = Array.from({ length: 200 }, (_, index) => `a${index} = a${index + 1}\n`).join("")
    expect(briefly(scan(`${chain}a200 = eval\n`))[0]).toContain("Too complex")
  })

  const deep = 50_000
  test.each([
    ["brackets", `${"(".repeat(deep)}1${")".repeat(deep)}\n`],
    ["open brackets", "(".repeat(deep)],
    ["signs", `x = ${"-".repeat(deep)}1\n`],
    ["calls", `x${"()".repeat(deep)}\n`],
    ["attributes", `x${".a".repeat(deep)}\n`],
    ["lambdas", `x = ${"lambda: ".repeat(deep)}1\n`],
    ["sums", `x = 1${" + 1".repeat(deep)}\n`],
    ["f-strings", `x = ${"f'{".repeat(5000)}1${"}'".repeat(5000)}\n`],
  ])("%s nested without end are an error, not a crash", (_kind, source) => {
    const result = scan(source)
    expect(result.passed).toBe(false)
    expect(violationsOf(result)[0]?.message).toMatch(/^Syntax error: /)
  })

  test.each([
    ["bindings and reads", "if a: open = 1\n".repeat(20_000) + "open\n".repeat(20_000)],
    ["calls of many functions of one name", "def f(): return f\n".repeat(20_000) + "f(f)\n".repeat(20_000)],
    [
      "functions that call one another",
      `${Array.from({ length: 10_000 }, (_, i) => `def f${i}(): f${i + 1}(); open`).join("\n")}\nf0()\n`,
    ],
    ["a long list", `x = [${"os, ".repeat(100_000)}]\n`],
    ["broken quotes", "'\n".repeat(100_000)],
    ["junk", "@$?".repeat(100_000)],
    [
      "globals bound and read in one function",
      `def f():\n  global open\n${"  open = 1\n".repeat(3_000)}${"  open(1)\n".repeat(30_000)}`,
    ],
    ["lambdas kept in a name", `x = {${"'a': lambda: open(1), ".repeat(30_000)}}\ndef open(x): pass\n`],
    ["reads in deep lists", `x = ${"[".repeat(190)}${"open, ".repeat(100_000)}${"]".repeat(190)}\ndef open(x): pass\n`],
  ])("work is bounded for %s", (_kind, source) => {
    const started = performance.now()
    scan(source)
    expect(performance.now() - started).toBeLessThan(15_000)
  })
})

test("mutated sources never end in an exception", () => {
  const random = seeded(20260101)
  const source = Buffer.from(
    "import os\n\ndef f(a, *b, c=1, **d):\n    with open(a) as x, (y := z): return {**d, 'k': [i for i in b]}\nmatch f:\n    case A(b=[c, *_]): x.y[z](f'{w!r:>{v}}')\n",
  )
  for (let round = 0; round < 1500; round++) {
    const mutated = Buffer.from(source)
    for (let count = random(4); count >= 0; count--)
      mutated[random(mutated.length)] = source[random(source.length)] ?? 0
    const from = random(mutated.length)
    expect(() => scan({ "core.py": mutated.subarray(0, random(3) === 0 ? from : mutated.length) })).not.toThrow()
  }
})

test("the standard library of the machine's Python holds no syntax error but declared odd encodings", async () => {
  const asked = Bun.spawnSync(["python3", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"])
  const library = asked.stdout.toString().trim()
  // A slice that is quick; the whole library is looked at when the grammar or the syntax rule changes.
  const files = ["", "asyncio", "email", "json", "http", "unittest", "importlib", "xml/etree"].flatMap((folder) =>
    readdirSync(join(library, folder))
      .filter((name) => name.endsWith(".py"))
      .map((name) => join(folder, name)),
  )
  expect(files.length).toBeGreaterThan(200)
  for (const file of files) {
    const bytes = await Bun.file(join(library, file)).bytes()
    const broken = violationsOf(scanFiles(new Map([[file, bytes]]), { strict: false })).filter(({ message }) =>
      /^(?:Syntax|Too)/.test(message),
    )
    expect(broken).toEqual([])
  }
})

function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test("work is bounded for files that import one another", () => {
  const imports = (of: string) => `from . import ${of}\n`.repeat(20_000)
  const started = performance.now()
  const reads = "def f(): return open(1)\n".repeat(3_000)
  expect(scan({ "a.py": `${imports("b")}${reads}def open(x): pass\n`, "b.py": imports("a") }).passed).toBe(false)
  expect(performance.now() - started).toBeLessThan(15_000)
})
