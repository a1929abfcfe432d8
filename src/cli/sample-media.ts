/**
 * Small real files, made on the spot, for the sample run of plugins that read no text: a PNG, a WAV, a PDF and an MP4
 * whose frames are PNGs. `variant` makes files of one kind differ.
 */
import { deflateSync } from "node:zlib"

const SIDE = 32

/** 32 × 32 pixels, a colour gradient, RGB. */
export function samplePng(variant: number): Uint8Array {
  const rows = Buffer.alloc(SIDE * (1 + SIDE * 3))
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      rows.set([(x * 8) % 256, (y * 8) % 256, (variant * 60) % 256], y * (1 + SIDE * 3) + 1 + x * 3)
    }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(SIDE, 0)
  header.writeUInt32BE(SIDE, 4)
  header.set([8, 2], 8) // 8 bits a channel, RGB
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk("IHDR", header),
    pngChunk("IDAT", deflateSync(rows)),
    pngChunk("IEND", Buffer.alloc(0)),
  ])
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data])
  return Buffer.concat([uint32(data.length), body, uint32(Bun.hash.crc32(body))])
}

/** Half a second of a tone, 16 bits, 16 kHz, one channel. */
export function sampleWav(variant: number): Uint8Array {
  const rate = 16_000
  const samples = Buffer.alloc(rate)
  for (let index = 0; index < rate / 2; index++) {
    samples.writeInt16LE(Math.round(8_000 * Math.sin((2 * Math.PI * 220 * (variant + 1) * index) / rate)), index * 2)
  }
  const header = Buffer.alloc(44)
  header.write("RIFF", 0, "latin1")
  header.writeUInt32LE(36 + samples.length, 4)
  header.write("WAVEfmt ", 8, "latin1")
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20) // uncompressed
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(rate, 24)
  header.writeUInt32LE(rate * 2, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write("data", 36, "latin1")
  header.writeUInt32LE(samples.length, 40)
  return Buffer.concat([header, samples])
}

/** One page with a line of text. */
export function samplePdf(variant: number): Uint8Array {
  const text = `BT /F1 18 Tf 40 100 Td (Sample document ${variant + 1}, page one.) Tj ET`
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    `<< /Length ${text.length} >>\nstream\n${text}\nendstream`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  ]
  let body = "%PDF-1.4\n"
  const offsets = objects.map((object, index) => {
    const offset = body.length
    body += `${index + 1} 0 obj\n${object}\nendobj\n`
    return offset
  })
  const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("")
  const size = objects.length + 1
  return Buffer.from(
    `${body}xref\n0 ${size}\n0000000000 65535 f \n${table}trailer\n<< /Size ${size} /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF\n`,
    "latin1",
  )
}

/** Four frames in a second, no sound. The frames are PNGs, so that no encoder is needed to make it. */
export function sampleMp4(variant: number): Uint8Array {
  const frames = [0, 1, 2, 3].map((index) => Buffer.from(samplePng(variant + index)))
  const brand = box("ftyp", Buffer.from("isom\x00\x00\x02\x00isommp41", "latin1"))
  const media = box("mdat", ...frames)
  const timescale = 1000
  const matrix = Buffer.concat([0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000].map(uint32))
  const one = uint32(1)
  const none = uint32(0)
  const movieHeader = box(
    "mvhd",
    none,
    none,
    none,
    uint32(timescale),
    uint32(timescale),
    uint32(0x10000),
    Buffer.from([1, 0]),
    Buffer.alloc(10),
    matrix,
    Buffer.alloc(24),
    uint32(2),
  )
  const trackHeader = box(
    "tkhd",
    uint32(7),
    none,
    none,
    one,
    none,
    uint32(timescale),
    Buffer.alloc(16),
    matrix,
    uint32(SIDE << 16),
    uint32(SIDE << 16),
  )
  const mediaHeader = box(
    "mdhd",
    none,
    none,
    none,
    uint32(timescale),
    uint32(timescale),
    Buffer.from([0x55, 0xc4, 0, 0]),
  )
  const handler = box(
    "hdlr",
    none,
    none,
    Buffer.from("vide", "latin1"),
    Buffer.alloc(12),
    Buffer.from("Video\0", "latin1"),
  )
  const entry = box(
    "png ",
    Buffer.alloc(6),
    uint16(1),
    Buffer.alloc(16),
    uint16(SIDE),
    uint16(SIDE),
    uint32(0x480000),
    uint32(0x480000),
    none,
    uint16(1),
    Buffer.alloc(32),
    uint16(24),
    uint16(0xffff),
  )
  const table = box(
    "stbl",
    box("stsd", none, one, entry),
    box("stts", none, one, uint32(frames.length), uint32(timescale / frames.length)),
    box("stsc", none, one, one, uint32(frames.length), one),
    box("stsz", none, none, uint32(frames.length), ...frames.map((frame) => uint32(frame.length))),
    box("stco", none, one, uint32(brand.length + 8)),
  )
  const data = box("dinf", box("dref", none, one, box("url ", one)))
  const information = box("minf", box("vmhd", one, Buffer.alloc(8)), data, table)
  return Buffer.concat([
    brand,
    media,
    box("moov", movieHeader, box("trak", trackHeader, box("mdia", mediaHeader, handler, information))),
  ])
}

function box(type: string, ...content: readonly Buffer[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 8)
  return Buffer.concat([uint32(length), Buffer.from(type, "latin1"), ...content])
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value >>> 0)
  return buffer
}

function uint16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16BE(value)
  return buffer
}
