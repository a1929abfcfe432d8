import { expect, test } from "bun:test"
import { briefly, scan } from "./scanner.ts"

test.each<[string, string]>([
  ["def f(:\n    pass\n", "1:"],
  ["x = 1\nif x\n    y\n", "2:"],
  ["x = (1,\n", "1:"],
  ["print 'x'\n", "1:0"],
  ["exec 'x'\n", "1:0"],
  ["x = 1 <> 2\n", "1:6"],
  ["x = 0777\n", "1:4"],
  ["x = 10L\n", "1:4"],
  ["return 1\n", "1:0"],
  ["class A:\n    yield 1\n", "2:4"],
  ["break\n", "1:0"],
  ["for x in y: pass\nelse: continue\n", "2:6"],
  ["if x:\n", "2:0"],
  ["try:\n    pass\n", "1:0"],
  ["try:\n    pass\nexcept A, B:\n    pass\n", "3:0"],
  ["def f(a, (b, c)): pass\n", "1:9"],
  ["x = (a as b)\n", "1:7"],
  ["x = 'a\nb'\n", "1:4"],
  [`x = ${"(".repeat(201)}1${")".repeat(201)}\n`, "1:"],
  [`${Array.from({ length: 101 }, (_, depth) => `${" ".repeat(depth)}if x:\n`).join("")}${" ".repeat(101)}x\n`, "101:"],
])("what CPython cannot compile is an error at its place: %j", (source, place) => {
  const result = scan(source)
  expect(result.passed).toBe(false)
  const [first] = briefly(result)
  expect(first).toMatch(/^\d+:\d+ Syntax error: /)
  expect(first?.startsWith(place)).toBe(true)
})

test.each([
  "",
  "\f\n# only a comment",
  "match x:\n    case {'a': 1, **rest} if rest: pass\n    case A(b=1) | None: pass\n    case _: pass\n",
  "match = case = type = _ = 1\nprint(match, case, type)\n",
  "with (a as b, c as d,): pass\nwith (a) as b, c: pass\n",
  "try: pass\nexcept* (A, B) as e: pass\n",
  "type X[T: int] = list[T]\nclass A[T]: pass\ndef f[**P, *Ts](): pass\n",
  "x = f\"{a['b']!r:>{width}} {c=} {{}} {f'{d}'}\"\n",
  "x = f'{\n  a\n}'\n",
  "x = 'a\\\nb'\n",
  "def f(a, /, b, *, c): return lambda *a, **k: (yield)\n",
  "async def f():\n    async with a as b: await b\n    return [x async for x in y]\n",
  "x = 0x_ff + 1_000 + 0o17 + 0b1 + 1e5 + 1j + 00 + 0_0\n",
  "print >>f, 'x'\n",
  "@(x := y)\ndef f(): ...\n",
  "if x:\n\ty\nelse:\n        z\n",
  "if x:\r\n    y\r\nz\r\n",
  "if x:\r    y\rz\r",
  "x[1:2, ...], x[*a], x[a:=1]\n",
  "def f():\n    (bar.\nbaz)\n",
  "class A:\n    def f(self):\n        x = [ # (\n1,\n2 ]\n",
  "while x:\n    if y: continue\n    else: break\n",
  `x = ${"(".repeat(200)}1${")".repeat(200)}\n`,
  `x = 1${" + 1".repeat(2000)}\n`,
])("valid Python passes: %j", (source) => {
  expect(scan(source)).toEqual({ passed: true, warnings: [] })
})

test.each<[string, Uint8Array, string]>([
  [
    "bytes that are not UTF-8",
    Buffer.from("x = 1\n# caf\xe9\n", "latin1"),
    "2:5 Syntax error: the file is not valid UTF-8. Save it as UTF-8",
  ],
  [
    "UTF-16",
    Buffer.from("\ufeffeval(x)\n", "utf16le"),
    "1:0 Syntax error: the file is not valid UTF-8. Save it as UTF-8",
  ],
  ["a null byte", Buffer.from("x = 1\neval\0(x)\n"), "2:4 Syntax error: source code cannot contain null bytes"],
  [
    "a declared encoding that can hide names",
    Buffer.from("#!/usr/bin/python\n# -*- coding: utf-7 -*-\n"),
    "2:0 Syntax error: the encoding 'utf-7' is not accepted",
  ],
  [
    "declared ASCII that is none",
    Buffer.from("# coding: ascii\nx = 'é'\n"),
    "2:5 Syntax error: the file declares ASCII",
  ],
])("%s is an error", (_title, bytes, expected) => {
  const [found] = briefly(scan({ "core.py": bytes }))
  expect(found?.startsWith(expected)).toBe(true)
})

test.each([
  "\ufeffx = 'é'\n",
  "# -*- coding: UTF-8 -*-\nx = 'é'\n",
  "# vim: set fileencoding=utf_8 :\nx = 'é'\n",
  "#\n# coding=us-ascii\nx = 1\n",
  "x = 1\n\n# coding: latin-1\n",
])("UTF-8 and ASCII pass however they are declared: %j", (source) => {
  expect(scan(source)).toEqual({ passed: true, warnings: [] })
})

test("columns count characters, not bytes or UTF-16 units, and a byte order mark is none", () => {
  expect(briefly(scan("\ufeffx = 'é😀'; eval(x)\n"))).toEqual(["1:10 Forbidden builtin: eval"])
})

test("lines count as editors count them, whatever ends them", () => {
  expect(briefly(scan("a = 1\r\nb = 2\rc = 3\neval(x)\n"))).toEqual(["4:0 Forbidden builtin: eval"])
})

test("what can still be read of a broken file is reported too", () => {
  expect(briefly(scan("import socket\nprint 'x'\n"))).toEqual([
    "1:0 Forbidden import: socket",
    "2:0 Syntax error: print is a function; write print(…)",
  ])
})
