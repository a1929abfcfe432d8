/** Archives as an attacker, a broken disk and a strange archiver make them: entries that lie, and mutations of honest ones. */
import { gzipSync } from "node:zlib"
import { paxRecord, type TarEntry, tarOf, type ZipEntry, zipOf } from "../test/archives/archive-builder.ts"

export interface Seed {
  readonly format: "tar" | "zip"
  readonly bytes: Buffer
}

type Random = () => number

const below = (limit: number, random: Random) => Math.floor(random() * limit)
const chance = (probability: number, random: Random) => random() < probability
function anyOf<T>(values: readonly T[], random: Random): T {
  const value = values[below(values.length, random)]
  if (value === undefined) throw new Error("nothing to choose from")
  return value
}

/** `outside` is a folder that no entry may reach. */
export function hostileArchive(seeds: readonly Seed[], outside: string, random: Random): Buffer {
  const choice = random()
  if (choice < 0.25) return damaged(zipOf(zipEntries(outside, random), zipSurroundings(random)), 0.2, random)
  if (choice < 0.55) return packed(tarOf(tarEntries(outside, random), tarEnd(random)), random)
  if (choice < 0.95) return mutated(anyOf(seeds, random), anyOf(seeds, random), random)
  const noise = Buffer.from(Array.from({ length: below(4000, random) }, () => below(256, random)))
  return Buffer.concat([anyOf(MAGICS, random), noise])
}

const MAGICS = ["", "PK\x03\x04", "PK\x05\x06", "\x1f\x8b", "\x1f\x8b\x08\0\0\0\0\0\0\x03"].map((magic) =>
  Buffer.from(magic, "latin1"),
)

const PARTS = [
  ..."a A b plugin Plugin manifest.py MANIFEST.py core.py ä ä ß ss ﬁ fi K".split(" "),
  ...". .. ... ~ - con nul .git __pycache__ __MACOSX ._a .DS_Store site-packages sitecustomize.py".split(" "),
  ..."x.pth x.so x.pyc x.egg %2e%2e C: C:x \\ ..\\.. a\\b a:b a* ".split(" "),
  "a\0b",
  "\u202e",
  "\u200b",
  "a ",
  "a.",
  "a\n",
  "é",
  "e\u0301",
  "x".repeat(100),
  "ä".repeat(128),
  "x".repeat(300),
]

function anyName(outside: string, random: Random): string {
  const choice = random()
  if (choice < 0.4) return `plugin/file${below(12, random)}.py`
  if (choice < 0.45) return `${outside}/absolute${below(9, random)}`
  if (choice < 0.5) return `${"../".repeat(1 + below(6, random))}climbed${below(9, random)}`
  if (choice < 0.55) return `plugin/${"../".repeat(1 + below(8, random))}outside/climbed${below(9, random)}`
  if (choice < 0.6) return "d/".repeat(below(40, random)) + anyOf(PARTS, random)
  const parts = Array.from({ length: 1 + below(4, random) }, () => anyOf(PARTS, random))
  return `${chance(0.1, random) ? "/" : ""}${parts.join("/")}${chance(0.15, random) ? "/" : ""}`
}

/** Zeros that unpack to more than the limits of the fuzzer, kept: packing them takes longer than refusing them. */
const BOMB = Buffer.alloc(6 * 1024 * 1024)

function anyData(random: Random): Buffer {
  const choice = random()
  if (choice < 0.7) return Buffer.from(`x = ${below(1e9, random)}\n`.repeat(below(50, random)))
  if (choice < 0.9) return Buffer.from(Array.from({ length: below(3000, random) }, () => below(256, random)))
  if (choice < 0.93) return Buffer.from("7f454c46020101", "hex")
  if (choice < 0.98) return BOMB.subarray(0, below(300_000, random))
  return BOMB.subarray(0, below(BOMB.length, random))
}

/** Numbers that sizes, offsets and counts are forged with: around the widths of fields, and signs. */
const NUMBERS = [0, 1, 2, 21, 22, 46, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]
const MODES = [0, 0o100644, 0o104755, 0o040755, 0o120777, 0o020666, 0o060666, 0o010666, 0o140777, 0o170000]

function zipEntries(outside: string, random: Random): ZipEntry[] {
  const count = chance(0.03, random) ? 120 : 1 + below(8, random)
  return Array.from({ length: count }, (_, index): ZipEntry => {
    const name = anyName(outside, random)
    const entry: ZipEntry = { name, data: anyData(random) }
    if (chance(0.02, random)) entry.name = Buffer.from([0xff, 0xfe, below(256, random)])
    if (chance(0.05, random)) entry.localName = anyName(outside, random)
    if (chance(0.2, random)) entry.stored = true
    if (chance(0.05, random)) entry.flags = below(0x10000, random)
    if (chance(0.05, random)) entry.method = anyOf([0, 1, 8, 9, 12, 14, 93, 99], random)
    if (chance(0.2, random)) entry.mode = anyOf(MODES, random)
    if (chance(0.05, random)) entry.crc = below(0xffffffff, random)
    if (chance(0.08, random)) entry.uncompressedSize = anyOf(NUMBERS, random)
    if (index > 0 && chance(0.03, random)) entry.sameAs = below(index, random)
    return entry
  })
}

function zipSurroundings(random: Random) {
  return {
    ...(chance(0.05, random) ? { before: anyData(random) } : {}),
    ...(chance(0.05, random) ? { after: chance(0.5, random) ? zipOf([{ name: "second.py" }]) : anyData(random) } : {}),
  }
}

const TAR_TYPES = [..."0123456789ABDEgIKLMNSVXx\0aZ".split("")]
const PAX_KEYS = ["path", "size", "linkpath", "mtime", "GNU.sparse.major", "GNU.sparse.realsize", "SCHILY.xattr.x", ""]

function tarEntries(outside: string, random: Random): TarEntry[] {
  const count = chance(0.03, random) ? 120 : 1 + below(8, random)
  return Array.from({ length: count }, () => tarEntry(outside, random)).flat()
}

function tarEntry(outside: string, random: Random): TarEntry[] {
  const entry: TarEntry = { name: anyName(outside, random), data: anyData(random) }
  if (chance(0.2, random)) Object.assign(entry, { type: anyOf(TAR_TYPES, random), link: anyName(outside, random) })
  if (entry.type !== undefined && entry.type !== "0" && chance(0.5, random)) entry.data = ""
  if (chance(0.05, random)) entry.size = anyOf(NUMBERS, random)
  if (chance(0.01, random)) entry.badChecksum = true
  if (chance(0.1, random)) return [{ name: "x", type: "L", data: `${anyName(outside, random)}\0` }, entry]
  if (chance(0.1, random)) return [{ name: "x", type: anyOf(["x", "g"], random), data: paxOf(outside, random) }, entry]
  return [entry]
}

function paxOf(outside: string, random: Random): Buffer {
  const records = Array.from({ length: 1 + below(3, random) }, () => {
    const key = anyOf(PAX_KEYS, random)
    return paxRecord(
      key,
      key === "size" ? `${anyOf([...NUMBERS, -1, 1e15, "0x10"], random)}` : anyName(outside, random),
    )
  })
  const bytes = Buffer.from(records.join(""))
  return chance(0.2, random) ? damagedOnce(bytes, random) : bytes
}

function tarEnd(random: Random): Buffer {
  const choice = random()
  if (choice < 0.8) return Buffer.alloc(1024)
  if (choice < 0.9) return Buffer.alloc(anyOf([0, 1, 511, 512, 1023, 10_240], random))
  return Buffer.concat([Buffer.alloc(1024), anyData(random)])
}

/** Gzip around a tar, mostly: bare, in two members, damaged, or with something behind it otherwise. */
function packed(tar: Buffer, random: Random): Buffer {
  const choice = random()
  if (choice < 0.75) return gzipSync(tar, { level: 1 })
  if (choice < 0.8) return tar
  if (choice < 0.85) return Buffer.concat([gzipSync(tar, { level: 1 }), anyData(random)])
  if (choice < 0.9) {
    const cut = below(tar.length, random)
    return Buffer.concat([gzipSync(tar.subarray(0, cut), { level: 1 }), gzipSync(tar.subarray(cut), { level: 1 })])
  }
  return damaged(gzipSync(tar, { level: 1 }), 1, random)
}

function mutated(seed: Seed, other: Seed, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(seed.bytes)
  for (let left = 1 + below(3, random); left > 0; left--) {
    if (chance(0.6, random))
      bytes = seed.format === "zip" ? zipFieldChanged(bytes, random) : tarFieldChanged(bytes, random)
    else if (chance(0.15, random)) bytes = Buffer.concat([bytes.subarray(0, below(bytes.length, random)), other.bytes])
    else bytes = damagedOnce(bytes, random)
  }
  return seed.format === "zip" ? bytes : packed(bytes, random)
}

function damaged(bytes: Buffer, probability: number, random: Random): Buffer {
  return chance(probability, random) ? damagedOnce(bytes, random) : bytes
}

function damagedOnce(bytes: Buffer, random: Random): Buffer {
  const [at, to] = [below(bytes.length, random), below(bytes.length, random)].sort((a, b) => a - b) as [number, number]
  switch (below(6, random)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
    case 2:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
    case 3:
      return Buffer.concat([bytes, anyData(random)])
    default: {
      const changed = Buffer.from(bytes)
      for (let left = 1 + below(8, random); left > 0 && changed.length > 0; left--) {
        const where = below(changed.length, random)
        changed[where] = (changed[where] ?? 0) ^ (1 << below(8, random))
      }
      return changed
    }
  }
}

/** Local header, central header, end, zip64 end, its locator, data descriptor. */
const ZIP_SIGNATURES = ["504b0304", "504b0102", "504b0506", "504b0606", "504b0607", "504b0708"].map((hex) =>
  Buffer.from(hex, "hex"),
)

/** One field of a record gets a number that it should not have; extra fields lie behind a record's 46 bytes. */
function zipFieldChanged(bytes: Buffer, random: Random): Buffer {
  const signature = anyOf(ZIP_SIGNATURES, random)
  const places: number[] = []
  for (let at = bytes.indexOf(signature); at >= 0; at = bytes.indexOf(signature, at + 1)) places.push(at)
  if (places.length === 0) return bytes
  const changed = Buffer.from(bytes)
  const at = anyOf(places, random) + 4 + 2 * below(chance(0.8, random) ? 21 : 80, random)
  const value = chance(0.3, random) ? below(bytes.length + 100, random) : anyOf(NUMBERS, random)
  const width = anyOf([2, 4, 4, 8], random)
  if (at + width > changed.length) return bytes
  if (width === 2) changed.writeUInt16LE(value & 0xffff, at)
  else changed.writeUInt32LE(value, at)
  if (width === 8) changed.writeUInt32LE(anyOf(NUMBERS, random), at + 4)
  return changed
}

const TAR_FIELDS: readonly (readonly [at: number, bytes: number])[] = [
  [0, 100],
  [100, 8],
  [124, 12],
  [124, 12],
  [156, 1],
  [157, 100],
  [257, 8],
  [345, 155],
]
const TAR_NUMBERS = [
  "",
  "-1",
  "77777777777",
  "00000000000",
  "8",
  "0x10",
  " 1",
  "\x80",
  "\xff\xff\xff\xff",
  "00000001000\0",
]

/** One field of a header changed, and its checksum made right again: a wrong one would be all that is looked at. */
function tarFieldChanged(bytes: Buffer, random: Random): Buffer {
  const headers: number[] = []
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.toString("latin1", at + 257, at + 262) === "ustar") headers.push(at)
  }
  if (headers.length === 0) return bytes
  const changed = Buffer.from(bytes)
  const header = changed.subarray(anyOf(headers, random)).subarray(0, 512)
  const [at, length] = anyOf(TAR_FIELDS, random)
  const field = header.subarray(at, at + length)
  if (length === 1) field.write(anyOf(TAR_TYPES, random), "latin1")
  else if (chance(0.6, random)) field.fill(0).write(anyOf(length === 12 ? TAR_NUMBERS : PARTS, random), "latin1")
  else for (let index = 0; index < length; index++) if (chance(0.3, random)) field[index] = below(256, random)
  header.write("        ", 148, "latin1")
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1")
  return changed
}
