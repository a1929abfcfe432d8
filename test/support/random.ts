/** Choices that a seed repeats: what a run drew is found again by the number that it printed. */

export interface Random {
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number
  pick<T>(choices: readonly [T, ...T[]]): T
  shuffled<T>(items: readonly T[]): T[]
}

/** MIXPEEK_TEST_SEED, or a new one. Whoever uses it prints it. */
export function testSeed(): number {
  const given = process.env.MIXPEEK_TEST_SEED
  return given === undefined || given === "" ? Math.floor(Math.random() * 2 ** 32) : Number(given)
}

/** The generator "mulberry32": good enough to spread choices, and the same everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const below = (limit: number) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  return {
    below,
    pick: (choices) => choices[below(choices.length)] ?? choices[0],
    shuffled(items) {
      const left = [...items]
      return items.flatMap(() => left.splice(below(left.length), 1))
    },
  }
}
