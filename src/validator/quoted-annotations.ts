/**
 * Strings that Python reads as code later: annotations in quotes, which `typing.get_type_hints`, pydantic and others evaluate.
 * Only strings that are an expression count; `Literal["open"]` and the data of `Annotated` stay strings.
 */
import { Kind } from "./node-kinds.ts"
import { children, nameOf, type PythonTree, textOf } from "./python-tree.ts"
import { checkSyntax } from "./syntax/check-syntax.ts"

/** Generic types whose arguments in quotes become forward references, in annotations and outside of them. */
const GENERICS = new Set(
  `Optional Union List Dict Set FrozenSet Tuple Type Sequence Mapping Iterable Iterator Callable Awaitable Coroutine
  Generator ClassVar Final Required NotRequired Annotated DefaultDict Deque Collection MutableMapping MutableSequence
  list dict set frozenset tuple type`.split(/\s+/),
)
/**
 * Functions that take types in quotes, with the place that the type has in a tuple beside the name or default it comes with;
 * null where the type is an argument by itself.
 */
const TAKE_TYPES: ReadonlyMap<string, number | null> = new Map([
  ["ForwardRef", null],
  ["TypeAdapter", null],
  ["TypedDict", null],
  ["NamedTuple", 1],
  ["make_dataclass", 1],
  ["create_model", 0],
])
/** Their arguments by these names are no types. */
const NO_TYPES = new Set(["module", "total", "__module__", "__doc__", "defaults", "default", "typename", "cls_name"])
/** What a string passes on its way up to the annotation it is a part of. */
const WITHIN_TYPES = new Set<number>([
  Kind.type,
  Kind.subscript,
  Kind.tuple,
  Kind.list,
  Kind.expression_list,
  Kind.parenthesized_expression,
  // `A | "B"`.
  Kind.other,
])
const WITHIN_ARGUMENTS = new Set<number>([
  ...[Kind.argument_list, Kind.keyword_argument, Kind.tuple, Kind.list, Kind.dictionary, Kind.pair],
])
const ANNOTATED = new Set<number>([
  Kind.assignment,
  Kind.typed_parameter,
  Kind.typed_default_parameter,
  Kind.function_definition,
])
/** Something reads annotations as values, so that a function that is named in one can be had from it. */
export const READING_NAMES: readonly string[] = [
  ...["get_type_hints", "get_annotations", "__annotations__", "__annotate__", "ForwardRef", "evaluate_forward_ref"],
  ...["eval_str", "model_fields", "create_model"],
]
export const READS_ANNOTATIONS = new RegExp(`\\b(?:${READING_NAMES.join("|")})\\b`)

/** Whether a string stands where a type does, or in what becomes an annotation. */
export function isQuotedAnnotation(tree: PythonTree, node: number): boolean {
  return standsForType(tree, node) || becomesAnnotation(tree, node)
}

function standsForType(tree: PythonTree, node: number): boolean {
  let generic = false
  let at = node
  for (let above = tree.parent[at] ?? -1; above >= 0; above = tree.parent[at] ?? -1) {
    const kind = tree.kind[above] ?? Kind.other
    if (!WITHIN_TYPES.has(kind)) return generic || (tree.kind[at] === Kind.type && ANNOTATED.has(kind))
    if (kind === Kind.subscript) {
      const [head, ...rest] = children(tree, above)
      if (head === undefined || head === at) return false
      const name = textOf(tree, head).split(".").at(-1)?.trim() ?? ""
      // `frame.type["a"]` is an item of somebody's attribute.
      if (tree.kind[head] === Kind.attribute && /^[a-z]/.test(name)) return false
      if (name === "Literal" || (name === "Annotated" && !isFirst(tree, rest, node))) return false
      generic ||= GENERICS.has(name)
    }
    at = above
  }
  return generic
}

/** Whether nothing stands before `node` in the arguments of its generic type. */
function isFirst(tree: PythonTree, args: readonly number[], node: number): boolean {
  const first = args[0]
  if (first === undefined) return false
  const holds = (part: number) => part <= node && node < (tree.last[part] ?? 0)
  if (!holds(first)) return false
  const isList = tree.kind[first] === Kind.tuple
  const part = isList ? children(tree, first)[0] : first
  return part !== undefined && holds(part)
}

function becomesAnnotation(tree: PythonTree, node: number): boolean {
  let at = node
  let above = tree.parent[at] ?? -1
  while (above >= 0 && WITHIN_ARGUMENTS.has(tree.kind[above] ?? Kind.other)) {
    // A key is a name.
    if (tree.kind[above] === Kind.pair && above + 1 === at) return false
    at = above
    above = tree.parent[at] ?? -1
  }
  const target = above + 1
  if (above < 0 || target === at) return false
  const kind = tree.kind[above]
  if (kind !== Kind.call && kind !== Kind.assignment) return false
  const named = textOf(tree, target)
  if (named.includes("__annotations__")) return true
  const place = kind === Kind.call ? TAKE_TYPES.get(named.split(".").at(-1) ?? "") : undefined
  return place !== undefined && isTypeGiven(tree, node, place)
}

/** Whether a string in the arguments of one of `TAKE_TYPES` stands where a type does. */
function isTypeGiven(tree: PythonTree, node: number, place: number | null): boolean {
  const around = tree.parent[node] ?? 0
  switch (tree.kind[around]) {
    case Kind.tuple:
      return place === null || children(tree, around)[place] === node
    case Kind.keyword_argument:
      return !NO_TYPES.has(nameOf(tree, around + 1))
    case Kind.argument_list:
      // The first argument of the others is the name of what they make.
      return place === null && (around + 1 === node || children(tree, around).length > 1)
    case Kind.list:
      return false
    default:
      return true
  }
}

export interface QuotedName {
  readonly name: string
  /** Attributes taken of it, in order. */
  readonly attributes: readonly string[]
}

export interface QuotedCode {
  readonly names: readonly QuotedName[]
  /** Attributes of whatever else. */
  readonly attributes: readonly string[]
  /** Nothing but one name, as the forward reference to a type is. */
  readonly alone: boolean
}

const NOTHING: QuotedCode = { names: [], attributes: [], alone: false }
const PIECES =
  /([A-Za-z]{0,2}(?:'''[\s\S]*?'''|"""[\s\S]*?"""|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))|([\p{L}_][\p{L}\p{N}_]*)|(\d[\w.]*)|(==|[^\s])/gu

/** The names that the expression in a string reads; none when it is no expression. */
export function quotedCode(text: string, nesting = 3): QuotedCode {
  if (!/[\p{L}_]/u.test(text) || checkSyntax(`(${text}\n)\n`).problem !== null) return NOTHING
  const names: QuotedName[] = []
  const attributes: string[] = []
  let chain: string[] | null = null
  const pieces = [...text.matchAll(PIECES)]
  pieces.forEach(([piece, string, name], index) => {
    const before = pieces[index - 1]?.[0]
    const after = pieces[index + 1]?.[0]
    if (string !== undefined) {
      chain = null
      // A forward reference inside of one, as in `"Optional['A']"`; a lone word may be the data of a Literal.
      const inner = string.replace(/^[A-Za-z]*(?:'''|"""|'|")|(?:'''|"""|'|")$/g, "")
      if (nesting === 0 || !inner.includes("(") || text.includes("Literal")) return
      const code = quotedCode(inner, nesting - 1)
      names.push(...code.names)
      attributes.push(...code.attributes)
    } else if (name !== undefined && before === ".") {
      const plain = name.normalize("NFKC")
      if (chain === null) attributes.push(plain)
      else chain.push(plain)
    } else if (name !== undefined && after !== "=") {
      chain = []
      names.push({ name: name.normalize("NFKC"), attributes: chain })
    } else if (piece !== ".") chain = null
  })
  return { names, attributes, alone: pieces.length === 1 }
}
