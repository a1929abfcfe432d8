import { createHash } from "node:crypto"
import { z } from "zod"
import { invalid } from "../errors.ts"
import type { SortKey } from "./sorting.ts"

/** Where a page in the order of parts ended. Further parts are named so that one that goes away leaves no gap. */
const PartPosition = z.object({
  o: z.literal("part"),
  /** Part ids: the one of the last document, then those that followed. */
  p: z.array(z.string()).min(1),
  i: z.int().min(-1),
})
/** Where a sorted page ended: the last value and what tells equal ones apart. `q` is a mark of the order. */
const SortPosition = z.object({
  o: z.literal("sort"),
  q: z.string(),
  r: z.number(),
  n: z.number(),
  d: z.string(),
})

export type PartCursor = z.output<typeof PartPosition>
export type SortCursor = { readonly order: string; readonly key: SortKey; readonly last: string }

/** Parts named after the one where the page ended: more than go away between two requests of a caller. */
export const FOLLOWING_PARTS = 8

export function encodePartCursor(parts: readonly string[], position: number): string {
  return encode({ o: "part", p: parts, i: position }, "")
}

/** @throws ValidationError when it is none of ours, or of another order */
export function decodePartCursor(cursor: string): PartCursor {
  const parsed = PartPosition.safeParse(decode(cursor).head)
  if (!parsed.success) throw unusable("does not belong to this order")
  return parsed.data
}

/** A short mark of what the order is made of, so that a cursor is not used in another. */
export function orderMark(...what: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(what)).digest("base64url").slice(0, 8)
}

export function encodeSortCursor({ order, key, last }: SortCursor): string {
  return encode({ o: "sort", q: order, r: key.rank, n: key.number, d: last }, key.text)
}

/** @throws ValidationError when it is none of ours, or of another order */
export function decodeSortCursor(cursor: string, order: string): SortCursor {
  const { head, text } = decode(cursor)
  const parsed = SortPosition.safeParse(head)
  if (!parsed.success || parsed.data.q !== order) throw unusable("does not belong to this order")
  const { r: rank, n: number, d: last } = parsed.data
  return { order, key: { rank, number, text }, last }
}

export function unusable(why: string) {
  const message = `The cursor ${why}. Start again without one.`
  return invalid(message, [{ type: "cursor", location: ["query", "cursor"], message }])
}

/** The text stands behind the JSON as it is: escaped, control characters would make a cursor too long. */
function encode(head: object, text: string): string {
  return Buffer.from(`${JSON.stringify(head)}\n${text}`, "utf8").toString("base64url")
}

function decode(cursor: string): { head: unknown; text: string } {
  const bytes = Buffer.from(cursor, "base64url").toString("utf8")
  const end = bytes.indexOf("\n")
  try {
    if (end < 0) throw new SyntaxError("no head")
    return { head: JSON.parse(bytes.slice(0, end)), text: bytes.slice(end + 1) }
  } catch {
    // Why a caller's text is no cursor says nothing more than that it is none.
    throw unusable("cannot be read")
  }
}
