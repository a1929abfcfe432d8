import { KEYWORDS } from "./tokens.ts"

/** Greater than the number of any keyword's token. */
export const FIRST_NAME = Math.max(...KEYWORDS.values()) + 1
/** The one name that nothing may bind. */
export const DEBUG = FIRST_NAME
/** A power of two. */
const RECENT = 1 << 14

/**
 * The words of a plugin's files as small numbers, so that a name is cut out of the text and compared once. Keywords have
 * the numbers of their tokens; 0 is no word.
 */
export class Names {
  readonly texts: string[] = new Array<string>(FIRST_NAME).fill("")
  private readonly numbers = new Map<string, number>()
  /** Numbers of words by a hash of their characters; what is not there, or another word, is looked up. */
  private readonly marked = new Map<object, Uint8Array>()
  private readonly recent = new Int32Array(RECENT)

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

  /** Of the word between two places of a text; `hash` is any number that depends on its characters only. */
  numberAt(text: string, start: number, end: number, hash: number): number {
    const place = (hash ^ (hash >>> 15)) & (RECENT - 1)
    const recent = this.recent[place] ?? 0
    const word = this.texts[recent] ?? ""
    if (word.length === end - start && text.startsWith(word, start)) return recent
    const number = this.numberOf(text.slice(start, end))
    this.recent[place] = number
    return number
  }

  /** 1 for the numbers of some words. To be asked for when all files have been read: a word that comes later has none. */
  marks(words: ReadonlySet<string> | ReadonlyMap<string, unknown>): Uint8Array {
    let marks = this.marked.get(words)
    if (marks === undefined) {
      marks = new Uint8Array(this.texts.length)
      for (const word of words.keys()) marks[this.known(word)] = 1
      marks[0] = 0
      this.marked.set(words, marks)
    }
    return marks
  }

  /** 0 when no file has the word. */
  known(word: string): number {
    return this.numbers.get(word) ?? 0
  }

  textOf(number: number): string {
    return this.texts[number] ?? ""
  }
}
