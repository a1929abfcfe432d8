import { expect, test } from "bun:test"
import { gzipSync } from "node:zlib"
import { HEAD_BYTES, mimeType, sniff } from "../../src/buckets/mime.ts"
import { zip } from "../support/plugins.ts"

const latin = (text: string) => new Uint8Array(Buffer.from(text, "latin1"))
const OGG = `OggS\0\x02${"\0".repeat(22)}`
const FTYP = (brand: string) => `\0\0\0\x18ftyp${brand}\0\0\x02\0isomiso2`

const KNOWN: [string, string][] = [
  ["image/png", "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", "\xff\xd8\xff\xe0\0\x10JFIF"],
  ["image/gif", "GIF89a\x01\0\x01\0\x80"],
  ["image/webp", "RIFF\x10\0\0\0WEBPVP8 "],
  ["image/bmp", "BM\x10\0\0\0\0\0\0\0"],
  ["image/tiff", "II*\0\x00\x00\x10\x00pixels before the directory"],
  ["image/heic", FTYP("heic")],
  ["image/avif", FTYP("avif")],
  ["audio/wav", "RIFF\x10\0\0\0WAVEfmt "],
  ["audio/mpeg", "ID3\x04\0\0\0\x01\x7f\x7f"],
  ["audio/mpeg", "\xff\xfb\x90\x64\0\0\0\0"],
  ["audio/aac", "\xff\xf1\x50\x80\x02\x1f\xfc"],
  ["audio/flac", "fLaC\0\0\0\x22"],
  ["audio/ogg", "OggS\0"],
  ["audio/ogg", `${OGG}OpusHead`],
  ["audio/mp4", FTYP("M4A ")],
  ["audio/aiff", "FORM\0\0\0\x10AIFF"],
  ["video/ogg", `${OGG}\x80theora\x03\x02`],
  ["video/mp4", FTYP("isom")],
  ["video/quicktime", FTYP("qt  ")],
  ["video/x-msvideo", "RIFF\x10\0\0\0AVI LIST"],
  ["video/webm", "\x1a\x45\xdf\xa3\x87\x42\x82\x84webm"],
  ["video/x-matroska", "\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska"],
  ["video/mpeg", "\0\0\x01\xba\x21\0\x01\0"],
  ["application/pdf", "%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj"],
  ["application/zip", "PK\x03\x04"],
  ["application/gzip", "\x1f\x8b\x08\0\0\0\0\0"],
]

for (const [mime, head] of KNOWN) {
  test(`bytes of ${mime} are that, whatever the sender and the file name say: ${JSON.stringify(head.slice(0, 12))}`, async () => {
    expect(await sniff(latin(head))).toBe(mime)
    for (const declared of ["text/html", "image/png", "application/x-thing", "", null]) {
      expect(await mimeType(latin(head), declared, "x.txt")).toBe(mime)
    }
  })
}

test("an Office file says itself what it is, with a name that is no Office file's", async () => {
  const kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
  const types = `<Types><Override PartName="/xl/workbook.xml" ContentType="${kind}.main+xml"/></Types>`
  const whole = await zip({ "[Content_Types].xml": types, "xl/workbook.xml": "<workbook/>" })
  expect(await mimeType(whole, "application/zip", "a.zip")).toBe(kind)
})

test("of a container that holds several kinds the sender says which", async () => {
  const cases: [string, string, string][] = [
    ["PK\x03\x04", "application/epub+zip", "application/epub+zip"],
    ["PK\x03\x04", "text/plain", "application/zip"],
    [FTYP("isom"), "audio/mp4", "audio/mp4"],
    [FTYP("isom"), "audio/mpeg", "video/mp4"],
    ["\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", "audio/webm", "audio/webm"],
    ["OggS\0", "video/ogg", "video/ogg"],
    ["\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "application/vnd.ms-excel", "application/vnd.ms-excel"],
  ]
  for (const [head, declared, expected] of cases) expect(await mimeType(latin(head), declared, null)).toBe(expected)
  expect(await mimeType(latin("PK\x03\x04"), null, "a.xlsx")).toContain("spreadsheetml")
})

test("text stays the text that it was declared, whatever letters it begins with", async () => {
  for (const declared of ["image/svg+xml", "application/json", "text/csv", "text/html", "text/plain"]) {
    expect(await mimeType(latin('<?xml version="1.0"?><svg/>'), declared, "a.png")).toBe(declared)
  }
  for (const text of [
    "BMW is a car",
    "MZ",
    "solid ground",
    "%!",
    "II, the second",
    "ID3 tags are",
    "GIF89a",
    "FORM A",
  ]) {
    expect(await sniff(latin(text))).toBeNull()
    expect(await mimeType(latin(text), "text/plain", null)).toBe("text/plain")
  }
  expect(await mimeType(latin("hello"), "Text/HTML; charset=x", "a.png")).toBe("text/html")
  expect(await mimeType(latin("hello"), null, "a.CSV")).toBe("text/csv")
  expect(await mimeType(latin("gr\xfc\xdfe"), "text/plain", null)).toBe("text/plain")
  expect(await mimeType(latin("\xff\xfeh\0i\0"), "text/plain", null)).toBe("text/plain")
})

test("without a word of the sender's, text is text and other bytes are unknown", async () => {
  for (const nothing of [null, "", "application/octet-stream", "no type"]) {
    expect(await mimeType(latin("hello, gr\xc3\xbc\xc3\x9fe"), nothing, null)).toBe("text/plain")
    expect(await mimeType(latin("\xff\xfeh\0i\0"), nothing, "a.bin")).toBe("text/plain")
    for (const bytes of ["\x01\x02\x03", "gr\xfc\xdfe", "", "a\0b"]) {
      expect(await mimeType(latin(bytes), nothing, null)).toBe("application/octet-stream")
    }
  }
  const cut = Buffer.from(`${"a".repeat(HEAD_BYTES - 1)}ü`).subarray(0, HEAD_BYTES)
  expect(await mimeType(cut, null, null)).toBe("text/plain")
})

test("what is declared a text and has bytes that no text has is not text", async () => {
  for (const declared of ["text/plain", "application/json", "image/svg+xml", "text/csv"]) {
    expect(await mimeType(latin("a\0b"), declared, "a.txt")).toBe("application/octet-stream")
    expect(await mimeType(latin("\xff\xfe\0\0a\0"), declared, null)).toBe("application/octet-stream")
  }
  expect(await mimeType(latin("a\0b"), "text/plain", "a.png")).toBe("image/png")
})

test("a claim that the bytes neither confirm nor deny stays, and two bytes by chance deny nothing", async () => {
  for (const bytes of ["not a picture", "\x01\x02\x03\0", "\x78\x01\x9c\0", "MZ\x90\0", "\x0b\x77\0\0"]) {
    expect(await mimeType(latin(bytes), "image/x-own", null)).toBe("image/x-own")
  }
  expect(await mimeType(latin("MZ\x90\0"), "text/plain", null)).toBe("application/x-msdownload")
})

test("hostile bytes after every known beginning end soon in a type", async () => {
  const seeds = [
    ...KNOWN.map(([, head]) => latin(head)),
    gzipSync(Buffer.alloc(4_000_000)),
    latin("0&\xb2u\x8ef\xcf\x11\xa6\xd9"),
  ]
  let state = 7
  const random = () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31)
  const started = performance.now()
  for (const seed of seeds) {
    for (let round = 0; round < 40; round++) {
      const bytes = new Uint8Array(random() % HEAD_BYTES)
      if (round % 2 === 0) for (let at = 0; at < bytes.length; at++) bytes[at] = random() >> 8
      bytes.set(seed.subarray(0, bytes.length))
      const mime = await mimeType(bytes, round % 3 === 0 ? "text/plain" : null, null)
      expect(mime).toMatch(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/)
    }
  }
  expect(performance.now() - started).toBeLessThan(5_000)
})
