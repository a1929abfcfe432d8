/** tree-sitter's tree of a file in the shapes of the scan's own tree, so that the two can be compared. */
import { Language, type Node, Parser } from "web-tree-sitter"
import { KINDS, type KindName } from "../../src/validator/node-kinds.ts"
import { children, type PythonTree } from "../../src/validator/python-tree.ts"

/** Kind, place and parts; places are UTF-16 indexes. */
export interface Shape {
  kind: string
  start: number
  end: number
  parts: Shape[]
}

const bytesOf = (file: string) => Bun.file(new URL(`../../node_modules/${file}`, import.meta.url)).bytes()
// The library declares only Emscripten's own options, which take the bytes under this name.
const options: object = { wasmBinary: await bytesOf("web-tree-sitter/web-tree-sitter.wasm") }
await Parser.init(options)
const parser = new Parser().setLanguage(
  await Language.load(await bytesOf("tree-sitter-python/tree-sitter-python.wasm")),
)

/** Without names, or read from their parent's text. */
const LEFT_OUT = new Set("comment line_continuation string_start string_content string_end escape_sequence".split(" "))

/** Null when tree-sitter does not read the text whole. */
export function treeSitterShape(text: string): Shape | null {
  const tree = parser.parse(text)
  if (tree === null) return null
  try {
    return tree.rootNode.hasError ? null : shapeOf(tree.rootNode)
  } finally {
    tree.delete()
  }
}

function shapeOf(node: Node): Shape {
  const parts = node.namedChildren
    .filter((part) => part !== null && !LEFT_OUT.has(part.type))
    .map((part) => shapeOf(part as Node))
  return ownShape({ kind: node.type, start: node.startIndex, end: node.endIndex, parts }, node.text)
}

/** Where the scan's tree is simpler: subscripts in types, imports from the future, statements that are a tuple. */
function ownShape(shape: Shape, text: string): Shape {
  const { kind, start, end, parts } = shape
  const only = (part: Shape | undefined): Shape[] => part?.parts ?? []
  switch (kind) {
    case "generic_type":
      return {
        ...shape,
        kind: "subscript",
        parts: parts.flatMap((part) => (part.kind === "type_parameter" ? part.parts.flatMap(only) : [part])),
      }
    case "future_import_statement": {
      const at = start + text.indexOf("__future__")
      const name = { start: at, end: at + "__future__".length }
      const module = { ...name, kind: "dotted_name", parts: [{ ...name, kind: "identifier", parts: [] }] }
      return { ...shape, kind: "import_from_statement", parts: [module, ...parts] }
    }
    case "expression_statement":
      return parts.length === 1 ? shape : { ...shape, parts: [{ kind: "expression_list", start, end, parts }] }
    default:
      return { ...shape, kind: KINDS.includes(kind as KindName) ? kind : "other" }
  }
}

export function ownTreeShape(tree: PythonTree, node = 0): Shape {
  return {
    kind: KINDS[tree.kind[node] ?? 0] ?? "",
    start: tree.start[node] ?? 0,
    end: tree.end[node] ?? 0,
    parts: children(tree, node).map((part) => ownTreeShape(tree, part)),
  }
}
