/**
 * Takes the names of one statement's expressions to their scopes. The nodes are walked from the last to the first: a
 * lambda or comprehension is then met before what is inside it, and no recursion is needed.
 */
import { type Arena, N, USE } from "./arena.ts"
import { FLAG, newScope, type ScopeTable, type SyntaxScope } from "./scope-table.ts"
import { SyntaxProblem } from "./tokens.ts"

interface Region {
  /** The first node of it. */
  readonly first: number
  readonly scope: SyntaxScope
  /** Whose parameters stand here. */
  readonly parameters: SyntaxScope | null
  /** Inside what a comprehension iterates over. */
  readonly iterable: boolean
  /** The comprehension's node, when the region is all of it. */
  readonly comprehension: number
}

export interface Places {
  /** Number of a name in `Names`. */
  nameOf(token: number): number
  startOf(token: number): number
}

export interface StatementScopes {
  /** The function whose parameters stand in the statement. */
  readonly parameters: SyntaxScope | null
  /** Where annotations are evaluated, when not in the current scope. */
  readonly annotations: SyntaxScope | null
  /** The file has a `global` or `nonlocal` statement. */
  readonly declares: boolean
  /** `from __future__ import annotations` is in force. */
  readonly deferred: boolean
}

/**
 * Where nothing says `global` or `nonlocal` it does not matter in which scope a name is used or bound, but for comprehensions,
 * lambdas and the like: `declares` is false for such a file, and nearly all of its statements are done at once.
 */
export function recordNames(arena: Arena, table: ScopeTable, places: Places, statement: StatementScopes): void {
  if (!statement.declares && arena.special === 0) return
  const regions: Region[] = []
  let region: Region = {
    first: 0,
    scope: table.current,
    parameters: statement.parameters,
    iterable: false,
    comprehension: -1,
  }
  const enter = (change: Partial<Region>) => {
    regions.push(region)
    region = { ...region, comprehension: -1, ...change }
  }
  for (let node = arena.size - 1; node >= 0; node--) {
    while (node < region.first) {
      leaveComprehension(region, arena, places)
      region = regions.pop() ?? region
    }
    const first = arena.first[node] ?? node
    const token = arena.token[node] ?? 0
    switch (arena.kind[node]) {
      case N.name:
        recordName(table, region, arena.use[node] ?? 0, places.nameOf(token), places.startOf(token))
        break
      case N.parameter:
        if (region.parameters !== null) {
          table.record(region.parameters, places.nameOf(token), FLAG.parameter, places.startOf(token))
        }
        break
      case N.lambda: {
        const parameters = newScope("lambda", region.scope, region.scope.className)
        enter({ first, parameters })
        break
      }
      case N.lambdaBody:
        enter({ first, scope: region.parameters ?? region.scope, parameters: null })
        break
      case N.comprehension:
      case N.generator: {
        const scope = newScope("comprehension", region.scope, region.scope.className)
        scope.generator = arena.kind[node] === N.generator
        enter({ first, scope, comprehension: node })
        break
      }
      case N.firstIterable:
        enter({ first, scope: region.scope.parent ?? region.scope, iterable: true })
        break
      case N.iterable:
        enter({ first, iterable: true })
        break
      case N.annotation:
        enter({ first, scope: annotationScope(region.scope, statement) })
        break
      case N.asyncFor:
        region.scope.awaits = true
        break
      case N.yield:
      case N.yieldFrom:
        checkYield(region, arena.kind[node] === N.yieldFrom, places.startOf(token))
        break
      case N.await:
        checkAwait(region, places.startOf(token))
        break
      case N.named:
        checkWalrus(region, places.startOf(token))
        break
    }
  }
  for (let left: Region | undefined = region; left !== undefined; left = regions.pop()) {
    leaveComprehension(left, arena, places)
  }
}

/** An annotation that is not evaluated has a scope of its own, whose names are nobody's. */
function annotationScope(around: SyntaxScope, { annotations, deferred }: StatementScopes): SyntaxScope {
  const scope = annotations ?? around
  return deferred ? newScope("annotation", scope, scope.className) : scope
}

function recordName(table: ScopeTable, region: Region, use: number, name: number, at: number): void {
  const { scope } = region
  if (use === USE.load) table.record(scope, name, FLAG.used, at)
  else if (use === USE.walrus) table.bindWalrus(scope, name, at)
  else if (use === USE.iteration) table.record(scope, name, FLAG.iteration | FLAG.local, at)
  else if (use === USE.annotated) table.record(scope, name, FLAG.annotated | FLAG.local, at)
  else if (use !== USE.none) table.record(scope, name, FLAG.local, at)
}

function checkYield({ scope }: Region, from: boolean, at: number): void {
  if (scope.kind === "annotation") throw new SyntaxProblem(at, "yield expression cannot be used within an annotation")
  if (scope.kind === "comprehension") throw new SyntaxProblem(at, "'yield' inside a comprehension")
  if (scope.kind === "types") throw new SyntaxProblem(at, "yield expression cannot be used within type parameters")
  if (scope.kind === "module" || scope.kind === "class") throw new SyntaxProblem(at, "'yield' outside function")
  if (from && scope.kind === "async") throw new SyntaxProblem(at, "'yield from' inside async function")
  scope.yields = true
}

function checkAwait({ scope }: Region, at: number): void {
  if (scope.kind === "annotation") throw new SyntaxProblem(at, "await expression cannot be used within an annotation")
  if (scope.kind === "comprehension") scope.awaits = true
  else if (scope.kind === "types") {
    throw new SyntaxProblem(at, "await expression cannot be used within type parameters")
  } else if (scope.kind !== "async") {
    const inFunction = scope.kind === "function" || scope.kind === "lambda"
    throw new SyntaxProblem(at, inFunction ? "'await' outside async function" : "'await' outside function")
  }
}

function checkWalrus({ scope, iterable }: Region, at: number): void {
  if (scope.kind === "annotation") throw new SyntaxProblem(at, "named expression cannot be used within an annotation")
  if (iterable)
    throw new SyntaxProblem(at, "assignment expression cannot be used in a comprehension iterable expression")
  if (scope.kind === "types") throw new SyntaxProblem(at, "named expression cannot be used within type parameters")
}

/** A comprehension that awaits makes the code around it await; a generator expression waits for its reader. */
function leaveComprehension(region: Region, arena: Arena, places: Places): void {
  const { comprehension, scope } = region
  if (comprehension < 0 || !scope.awaits || scope.generator || scope.parent === null) return
  if (scope.parent.kind === "comprehension") scope.parent.awaits = true
  else if (scope.parent.kind !== "async" && scope.parent.kind !== "annotation") {
    const at = places.startOf(arena.token[comprehension] ?? 0)
    throw new SyntaxProblem(at, "asynchronous comprehension outside of an asynchronous function")
  }
}
