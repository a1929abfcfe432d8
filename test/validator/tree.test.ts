import { expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parsePython } from "../../src/validator/python-tree.ts"
import { decodeSource } from "../../src/validator/source-text.ts"
import { ownTreeShape, type Shape, treeSitterShape } from "./tree-oracle.ts"

const ENOUGH = 1_000_000

function ownShape(text: string): Shape {
  const { tree, problem } = parsePython(text, ENOUGH)
  if (tree === null || problem !== null) throw new Error(problem?.message)
  return ownTreeShape(tree)
}

/** A place where two trees differ, with what is around it; null when there is none. */
function difference(theirs: Shape, own: Shape, around = ""): string | null {
  const here = `${around}>${theirs.kind}`
  if (theirs.kind !== own.kind) return `${here} is ${own.kind} here`
  const placed = theirs.start === own.start && (theirs.end === own.end || endsInBlock(theirs))
  if (!placed && theirs.kind !== "block" && theirs.kind !== "module") {
    return `${here} has [${theirs.start}, ${theirs.end}], here [${own.start}, ${own.end}]`
  }
  if (theirs.parts.length !== own.parts.length)
    return `${here} has other parts here: ${own.parts.map(({ kind }) => kind)}`
  return theirs.parts.reduce<string | null>((found, part, index) => {
    const mine = own.parts[index]
    return found ?? (mine === undefined ? null : difference(part, mine, here))
  }, null)
}

/** tree-sitter gives the blanks and semicolons after a block to the statement. */
function endsInBlock({ parts }: Shape): boolean {
  const last = parts.at(-1)
  return last !== undefined && (last.kind === "block" || endsInBlock(last))
}

test("the standard library's modules have the tree that tree-sitter reads", () => {
  const differences: string[] = []
  let compared = 0
  const asked = Bun.spawnSync(["python3", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"])
  const library = asked.stdout.toString().trim()
  for (const name of readdirSync(library)
    .filter((entry) => entry.endsWith(".py"))
    .sort()) {
    const bytes = readFileSync(join(library, name))
    const source = decodeSource(bytes)
    if (!source.ok || bytes.length > 60_000) continue
    const theirs = treeSitterShape(source.text)
    if (theirs === null) continue
    compared++
    const found = difference(theirs, ownShape(source.text))
    if (found !== null) differences.push(`${name}: ${found}`)
  }
  expect(differences).toEqual([])
  expect(compared).toBeGreaterThan(120)
})

test.each([
  "x = f\"a{b!r:>{c}}{d=}\" 'e'\n",
  "x = a if b else c if d else lambda y, *z, k=1, **w: y\n",
  "a or b and not c < d <= e is not f not in g | h & j << k + l * -m ** -n ** o - p - q\n",
  "f(x for x in y if z if w)\nf(a, *b, c=1, **d)[1:2, ::3, 4](g)\n",
  "{**a, 'b': c, **d}\n{a: b for a, b in c}\n{a, *b}\n{a for a in b}\n[*a, b]\n[a for b, in c for d in e]\n",
  "a, *b = c = d, e\n(a) = [b, (c, *d)] = e\nx: int = 5\nx += 1, 2\n",
  "def f(a: int, /, b: str = 'x', *args, c, **kw: int) -> int:\n    return a, b\n",
  "@a.b\nasync def f():\n    await x.y[1]\n    async with a as b, c: pass\n    async for d, in e: pass\n",
  "@x\nclass A(B, metaclass=C):\n    'doc'\n    y: int\n",
  "try:\n    x\nexcept A as e:\n    y\nexcept (A, B): z\nexcept: w\nelse: q\nfinally: r\n",
  "with (yield_) as x, a.b as (c, *d), e as f[0]: pass\n",
  "from __future__ import annotations\nfrom .f.g import h as i, j\nfrom . import e\nfrom ...k import *\nimport a.b as c, d\n",
  "if a:\n    del a, b\nelif b: raise c from d\nelse:\n    assert e, f\nwhile g: break\nelse: pass\n",
])("it has the tree that tree-sitter reads: %j", (text) => {
  const theirs = treeSitterShape(text)
  if (theirs === null) throw new Error("tree-sitter does not read the case")
  expect(difference(theirs, ownShape(text))).toBeNull()
})

/** Kinds in brackets, the file's own left out. */
function written({ kind, parts }: Shape): string {
  return parts.length === 0 ? kind : `${kind}(${parts.map(written).join(" ")})`
}

// Where tree-sitter guesses, or has a simpler grammar: read from the language reference.
test.each([
  [
    "match [os]:\n    case [o]: pass\n",
    "match_statement(list(identifier) block(case_clause(case_pattern(list_pattern(case_pattern(dotted_name(identifier)))) block(other))))",
  ],
  [
    "match a:\n    case (x): pass\n",
    "match_statement(identifier block(case_clause(case_pattern(parenthesized_expression(case_pattern(dotted_name(identifier)))) block(other))))",
  ],
  [
    "match = 1\nmatch.a\n",
    "expression_statement(assignment(identifier integer)) expression_statement(attribute(identifier identifier))",
  ],
  [
    "*f(x), y\n",
    "expression_statement(expression_list(list_splat(call(identifier argument_list(identifier))) identifier))",
  ],
  [
    "x: List[int] | None\n",
    "expression_statement(assignment(identifier type(other(subscript(identifier identifier) other))))",
  ],
  [
    "def f[*A, T: int = str](*x: *A): pass\n",
    "function_definition(identifier type_parameter(type(identifier) type(identifier type(identifier) type(identifier))) parameters(typed_parameter(list_splat_pattern(identifier) type(list_splat(identifier)))) block(other))",
  ],
  [
    "type X[T] = list[T]\n",
    "type_alias_statement(identifier type_parameter(type(identifier)) type(subscript(identifier identifier)))",
  ],
])("it reads %j as the language reference does", (text, expected) => {
  expect(ownShape(text).parts.map(written).join(" ")).toBe(expected)
})

// tree-sitter lets ^ bind tighter than &.
test("operators bind as in the language reference", () => {
  const shapes = ["a | b ^ c & d", "a ^ (b & c)", "-a ** b", "not a == b", "a - b - c", "a ** b ** c"].map((text) =>
    ownShape(text)
      .parts.map(written)
      .join(" ")
      .replace(/^expression_statement|identifier/g, "")
      .replaceAll("other", "_"),
  )
  expect(shapes).toEqual([
    "(_( _( _( ))))",
    "(_( parenthesized_expression(_( ))))",
    "(_(_( )))",
    "(_(comparison_operator( )))",
    "(_(_( ) ))",
    "(_( _( )))",
  ])
})

test("what nests without brackets is refused past what CPython reads, and never overflows the stack", () => {
  const lambdas = (count: number) => `x = ${"lambda a=".repeat(count)}1${": 1".repeat(count)}\n`
  expect(parsePython(lambdas(745), ENOUGH).problem).toBeNull()
  expect(parsePython(lambdas(746), ENOUGH).problem?.message).toBe("Syntax error: too many nested lambdas")
  expect(parsePython(lambdas(80_000), ENOUGH).problem?.message).toBe("Syntax error: too many nested lambdas")
  for (const piece of ["not ", "-", "a ** ", "a if b else ", "a + ", "a = "]) {
    expect(parsePython(`x = ${piece.repeat(100_000)}1\n`, ENOUGH).problem?.message).toBe(
      "Syntax error: the code is nested too deeply",
    )
  }
})

test("a file of more nodes than its budget is refused where the budget ends", () => {
  const { tree, problem } = parsePython("a\nb\nc\n", 4)
  expect(tree).toBeNull()
  expect(problem?.message).toStartWith("Too complex")
})

test("of a file with a broken statement the statements before it have their tree", () => {
  const { tree, problem } = parsePython(
    "import os\nclass A:\n    def f(self):\n        a\n        b +\n    c\n",
    ENOUGH,
  )
  expect(problem?.index).toBe(57)
  expect(tree === null ? "" : written(ownTreeShape(tree))).toBe(
    "module(import_statement(dotted_name(identifier)) class_definition(identifier block(function_definition(identifier parameters(identifier) block(expression_statement(identifier))))))",
  )
})
