/** Where a page of a list ended, as its caller hands it back: a few values that only the list itself can read. */
import { parseExactly } from "./exact-json.ts"

export function encodeCursor(position: readonly (string | number | bigint | null)[]): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url")
}

/** Whatever a caller sent: nothing for what cannot be read, values that the list has to check otherwise. */
export function decodeCursor(cursor: string): readonly unknown[] {
  try {
    const value = parseExactly(Buffer.from(cursor, "base64url").toString("utf8"))
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}
