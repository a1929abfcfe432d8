import { KEYWORDS } from "./tokens.ts"

/** Greater than the number of any keyword's token. */
export const FIRST_NAME = Math.max(...KEYWORDS.values()) + 1
/** The one name that nothing may bind. */
export const DEBUG = FIRST_NAME

/**
 * The words of a plugin's files as small numbers, so that a name is cut out of the text and compared once. Keywords have
 * the numbers of their tokens; 0 is no word.
 */
export class Names {
  readonly texts: string[] = new Array<string>(FIRST_NAME).fill("")
  private readonly numbers = new Map<string, number>()

  constructor() {
    for (const [word, token] of KEYWORDS) {
      this.texts[token] = word
      this.numbers.set(word, token)
    }
    this.numberOf("__debug__")
  }

  numberOf(word: string): number {
    let number = this.numbers.get(word)
    if (number === undefined) {
      number = this.texts.length
      this.texts.push(word)
      this.numbers.set(word, number)
    }
    return number
  }

  /** 0 when no file has the word. */
  known(word: string): number {
    return this.numbers.get(word) ?? 0
  }

  textOf(number: number): string {
    return this.texts[number] ?? ""
  }
}
