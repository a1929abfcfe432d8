const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

/** Random characters after the prefix, by the contract's shapes (api.md §0.5). 36^12 is 62 bits, 36^16 is 82. */
const LENGTHS = {
  plu: 16,
  rev: 16,
  ns: 12,
  bkt: 12,
  obj: 16,
  blob: 16,
  upl: 16,
  col: 10,
  btch: 12,
  task: 16,
  org: 12,
  int: 16,
  key: 12,
  part: 16,
} as const

export type IdPrefix = keyof typeof LENGTHS

/** Of a request: 62 bits that are drawn anew after a while, and a number that goes up. It names, it opens nothing. */
export function newRequestId(): string {
  if (++requests >= REQUESTS_A_STEM) {
    stem = `req_${randomCharacters(12)}`
    requests = 0
  }
  return stem + PAIRS[Math.floor(requests / PAIRS.length)] + PAIRS[requests % PAIRS.length]
}

export function newId(prefix: IdPrefix): string {
  return `${prefix}_${randomCharacters(LENGTHS[prefix])}`
}

/** 36^40 is 206 bits: a key cannot be guessed, so a plain SHA-256 of it is enough at rest. */
export function newApiKey(): string {
  return `sk_${randomCharacters(40)}`
}

const PAIRS = [...ALPHABET].flatMap((first) => [...ALPHABET].map((second) => first + second))
const REQUESTS_A_STEM = PAIRS.length ** 2
let stem = ""
let requests = REQUESTS_A_STEM

/** Asked of the system many at a time: an id for each request is wanted in a fraction of a microsecond. */
const random = new Uint8Array(4096)
let used = random.length
/** Bytes from here on are thrown away: they would make the first characters likelier. */
const UNEVEN = 256 - (256 % ALPHABET.length)

function randomCharacters(count: number): string {
  let text = ""
  while (text.length < count) {
    if (used === random.length) {
      crypto.getRandomValues(random)
      used = 0
    }
    const byte = random[used++] ?? UNEVEN
    if (byte < UNEVEN) text += ALPHABET[byte % ALPHABET.length]
  }
  return text
}

/**
 * `v1` → `1.0.0`, `1.0` → `1.0.0`, `v2.1` → `2.1.0` (api.md §1.1). Null when it is no version of at most three numbers.
 */
export function normalizeVersion(version: string): string | null {
  const match = /^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?$/.exec(version.trim())
  if (match === null) return null
  const [, major, minor, patch] = match
  return [major, minor ?? "0", patch ?? "0"].map((part) => Number(part)).join(".")
}

export function pluginId(name: string, version: string): string {
  return `${name}_${version.replaceAll(".", "_")}`
}

/** Back from the id: a version has three numbers. */
export function pluginOf(id: string): { readonly name: string; readonly version: string } {
  const parts = id.split("_")
  return { name: parts.slice(0, -3).join("_"), version: parts.slice(-3).join(".") }
}

export function featureUri(name: string, version: string, output?: string): string {
  return output === undefined ? `mixpeek://${name}@${version}` : `mixpeek://${name}@${version}/${output}`
}
