import { SyntaxProblem } from "./tokens.ts"

const WORD = /^[\p{XID_Start}_]\p{XID_Continue}*$/u

/** Refuses a word with a character that no name may have there: a blank that cannot be seen, a typographic quote. */
export function checkName(text: string, from: number, to: number): void {
  const word = text.slice(from, to)
  if (WORD.test(word)) return
  let at = from
  let sound = ""
  for (const character of word) {
    if (!WORD.test(sound + character)) {
      const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")
      throw new SyntaxProblem(at, `invalid character (U+${code}) outside a string`)
    }
    sound = "a"
    at += character.length
  }
}
