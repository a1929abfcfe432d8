import { jsonValue } from "./filters.ts"
import type { Parameters } from "./parameters.ts"

/**
 * True for documents whose id or any string value, at any depth, holds the words; `*` stands for any run of characters.
 * @returns null when everything matches
 */
export function compileSearch(search: string, parameters: Parameters, caseSensitive: boolean): string | null {
  const pieces = search.split("*").filter((piece) => piece !== "")
  if (pieces.length === 0) return null
  const fold = (sql: string) => (caseSensitive ? sql : `lower(${sql})`)
  const escaped = pieces.map((piece) => piece.replaceAll(/[\\%_]/g, (special) => `\\${special}`))
  const pattern = fold(parameters.text(`%${escaped.join("%")}%`))
  const like = (sql: string) => `${fold(sql)} LIKE ${pattern} ESCAPE '\\'`
  const item = jsonValue("item")
  const inside = `len(list_filter(json_extract(fields, '$..*'), lambda item: ${item.isText} AND ${like(item.text)})) > 0`
  // Stored JSON escapes nothing but quotes, backslashes and control characters: the whole text is looked at first.
  const escapes = pieces.some((piece) => /["\\\p{Cc}]/u.test(piece))
  return `(${like("document_id")} OR coalesce(${escapes ? inside : `CASE WHEN ${like("fields")} THEN ${inside} ELSE false END`}, false))`
}
