import { parseExactly } from "../exact-json.ts"
import { isRecord } from "../is-record.ts"
import type { RawDocument } from "./fetch.ts"
import type { DocumentsPage } from "./query.ts"

/** The document as an answer's JSON. What is stored as JSON is put in as it is, unless only some of it was asked for. */
export function documentJson(document: RawDocument, select: readonly string[] | null): string {
  const { fields, source, vectors, ...columns } = document
  const shown = select === null ? fields : JSON.stringify(pick(fields, select))
  const head = JSON.stringify(columns).slice(0, -1)
  const tail = vectors === null ? "" : `,"vectors":${JSON.stringify(vectors)}`
  return `${head},"fields":${shown},"source":${source}${tail}}`
}

export function pageJson(page: DocumentsPage, select: readonly string[] | null): string {
  const list = (documents: readonly RawDocument[]) =>
    `[${documents.map((document) => documentJson(document, select)).join(",")}]`
  const parts = [`"type":"page"`, `"documents":${list(page.documents)}`]
  if (page.nextCursor !== null) parts.push(`"next_cursor":${JSON.stringify(page.nextCursor)}`)
  if (page.total !== null) parts.push(`"total":${page.total}`)
  if (page.groups !== null) {
    const groups = page.groups.map(
      ({ keyJson, count, documents }) => `{"group_key":${keyJson},"count":${count},"documents":${list(documents)}}`,
    )
    parts.push(`"groups":[${groups.join(",")}]`)
  }
  return `{${parts.join(",")}}`
}

/** The paths that are there, in the nesting they have. */
function pick(fields: string, select: readonly string[]): Record<string, unknown> {
  const all = parseExactly(fields)
  const picked: Record<string, unknown> = {}
  for (const path of select) copyPath(all, picked, path.split("."))
  return picked
}

function copyPath(from: unknown, to: Record<string, unknown>, path: readonly string[]): void {
  const [name, ...rest] = path
  if (name === undefined || !isRecord(from) || !Object.hasOwn(from, name)) return
  const value = from[name]
  if (rest.length === 0) {
    define(to, name, value)
    return
  }
  if (!isRecord(value)) return
  const before = Object.hasOwn(to, name) ? to[name] : undefined
  const inner: Record<string, unknown> = isRecord(before) ? { ...before } : {}
  copyPath(value, inner, rest)
  if (Object.keys(inner).length > 0) define(to, name, inner)
}

/** A plain assignment to `__proto__`, which a plugin may name a column, would not make a key. */
function define(to: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(to, name, { value, enumerable: true, configurable: true, writable: true })
}
