/** What a Range header asks of a body: one range; several, or what is no range, is answered whole (RFC 9110 §14.2). */
export function byteRange(
  header: string | undefined,
  bytes: number,
): "whole" | "unsatisfiable" | { readonly first: number; readonly last: number } {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "")
  const [, from = "", to = ""] = match ?? []
  if (match === null || (from === "" && to === "")) return "whole"
  if (from === "") {
    const length = Math.min(Number(to), bytes)
    return length === 0 ? "unsatisfiable" : { first: bytes - length, last: bytes - 1 }
  }
  const first = Number(from)
  const last = to === "" ? bytes - 1 : Math.min(Number(to), bytes - 1)
  if (to !== "" && Number(to) < first) return "whole"
  return first >= bytes ? "unsatisfiable" : { first, last }
}
