const OPENING = new Set(["(", "[", "{"])
const CLOSING = new Set([")", "]", "}"])

/** Same length, with blanks for the line ends and comments inside brackets; null when the brackets do not match up. */
export function joinBracketedLines(text: string): string | null {
  const parts: string[] = []
  let kept = 0
  let depth = 0
  let at = 0
  const blank = (from: number, to: number) => {
    parts.push(text.slice(kept, from), " ".repeat(to - from))
    kept = to
  }
  while (at < text.length) {
    const character = text.charAt(at)
    if (character === '"' || character === "'") {
      at = endOfString(text, at)
    } else if (character === "#") {
      const lineEnd = text.indexOf("\n", at)
      const to = lineEnd < 0 ? text.length : lineEnd
      if (depth > 0) blank(at, to)
      at = to
    } else {
      if (OPENING.has(character)) depth++
      if (CLOSING.has(character) && --depth < 0) return null
      if (character === "\n" && depth > 0) blank(at, at + 1)
      at++
    }
  }
  if (depth !== 0) return null
  parts.push(text.slice(kept))
  return parts.join("")
}

/** Index after the string that opens at `at`. A string nested in an f-string of 3.12 ends early here; the parse decides. */
function endOfString(text: string, at: number): number {
  const quote = text.charAt(at)
  const triple = text.startsWith(quote.repeat(3), at)
  const closing = triple ? quote.repeat(3) : quote
  for (let index = at + closing.length; index < text.length; index++) {
    const character = text.charAt(index)
    if (character === "\\") index++
    else if (!triple && character === "\n") return index
    else if (text.startsWith(closing, index)) return index + closing.length
  }
  return text.length
}
