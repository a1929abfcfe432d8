/** Archives built byte by byte, so that every field can lie. */
import { crc32, deflateRawSync, gzipSync } from "node:zlib"

export interface ZipEntry {
  name: string | Buffer
  data?: string | Buffer
  /** Name in the local header, when it is to differ. */
  localName?: string
  stored?: boolean
  flags?: number
  method?: number
  /** Unix mode with its type bits. */
  mode?: number
  crc?: number
  uncompressedSize?: number
  /** Points at the local header of an earlier entry in place of one of its own. */
  sameAs?: number
}

export interface ZipOptions {
  before?: Buffer
  after?: Buffer
}

export function zipOf(entries: readonly ZipEntry[], options: ZipOptions = {}): Buffer {
  const locals: Buffer[] = options.before === undefined ? [] : [options.before]
  const central: Buffer[] = []
  const offsets: number[] = []
  let offset = options.before?.length ?? 0
  for (const entry of entries) {
    const name = Buffer.from(entry.name)
    const localName = Buffer.from(entry.localName ?? name)
    const data = Buffer.from(entry.data ?? "")
    const packed = entry.stored === true ? data : deflateRawSync(data)
    const flags = entry.flags ?? 0x800
    const method = entry.method ?? (entry.stored === true ? 0 : 8)
    const crc = entry.crc ?? crc32(data)
    const size = entry.uncompressedSize ?? data.length
    const at = entry.sameAs === undefined ? offset : (offsets[entry.sameAs] ?? 0)
    offsets.push(at)
    if (entry.sameAs === undefined) {
      const local = Buffer.alloc(30)
      local.writeUInt32LE(0x04034b50, 0)
      local.writeUInt16LE(20, 4)
      local.writeUInt16LE(flags, 6)
      local.writeUInt16LE(method, 8)
      local.writeUInt32LE(crc, 14)
      local.writeUInt32LE(packed.length, 18)
      local.writeUInt32LE(size, 22)
      local.writeUInt16LE(localName.length, 26)
      locals.push(local, localName, packed)
      offset += 30 + localName.length + packed.length
    }
    const header = Buffer.alloc(46)
    header.writeUInt32LE(0x02014b50, 0)
    header.writeUInt16LE((3 << 8) | 20, 4)
    header.writeUInt16LE(20, 6)
    header.writeUInt16LE(flags, 8)
    header.writeUInt16LE(method, 10)
    header.writeUInt32LE(crc, 16)
    header.writeUInt32LE(packed.length, 20)
    header.writeUInt32LE(size, 24)
    header.writeUInt16LE(name.length, 28)
    header.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 38)
    header.writeUInt32LE(at, 42)
    central.push(header, name)
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end, options.after ?? Buffer.alloc(0)])
}

export interface TarEntry {
  name: string
  data?: string | Buffer
  /** Type flag: `0` file, `1` hard link, `2` symbolic link, `5` folder, `x` pax header, `L` GNU long name, … */
  type?: string
  link?: string
  /** Size in the header, when it is to lie. */
  size?: number
  badChecksum?: boolean
}

/** The bare tar; `end` is what follows the last entry, two blocks of zeros by default. */
export function tarOf(entries: readonly TarEntry[], end: Buffer = Buffer.alloc(1024)): Buffer {
  const parts: Buffer[] = []
  for (const entry of entries) {
    const data = Buffer.from(entry.data ?? "")
    const header = Buffer.alloc(512)
    header.write(entry.name, 0, 100)
    header.write("0000644\0", 100)
    header.write("0000000\0", 108)
    header.write("0000000\0", 116)
    header.write(`${(entry.size ?? data.length).toString(8).padStart(11, "0")}\0`, 124)
    header.write("00000000000\0", 136)
    header.write("        ", 148)
    header.write(entry.type ?? "0", 156)
    header.write(entry.link ?? "", 157, 100)
    header.write("ustar\x0000", 257)
    let sum = 0
    for (const byte of header) sum += byte
    header.write(`${(entry.badChecksum === true ? sum + 1 : sum).toString(8).padStart(6, "0")}\0 `, 148)
    parts.push(header, data, Buffer.alloc((512 - (data.length % 512)) % 512))
  }
  return Buffer.concat([...parts, end])
}

export function tarGzOf(entries: readonly TarEntry[], end?: Buffer): Buffer {
  return gzipSync(tarOf(entries, end))
}

export function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`
  const length = Buffer.byteLength(body)
  const digits = `${length + `${length}`.length}`.length
  return `${length + digits}${body}`
}
