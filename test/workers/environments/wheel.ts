import { createHash } from "node:crypto"
import { join } from "node:path"
import { ZipFile } from "yazl"

export interface Wheel {
  readonly file: string
  /** The pin and hash of this wheel, as a lock has them. */
  readonly lock: string
}

/** Writes a wheel of one module into the directory. */
export async function writeWheel(
  directory: string,
  { name, version = "1.0", tag = "py3-none-any", source = "VALUE = 1\n", requires = [], files = {} }: WheelOptions,
): Promise<Wheel> {
  const zip = new ZipFile()
  const info = `${name}-${version}.dist-info`
  const entries = {
    [`${name}.py`]: source,
    ...files,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${requires.map((each) => `Requires-Dist: ${each}\n`).join("")}`,
    [`${info}/WHEEL`]: `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: ${tag}\n`,
    [`${info}/RECORD`]: `${[`${name}.py`, ...Object.keys(files)].map((file) => `${file},,\n`).join("")}${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`,
  }
  for (const [path, text] of Object.entries(entries)) zip.addBuffer(Buffer.from(text), path)
  zip.end()
  const parts: Buffer[] = []
  for await (const part of zip.outputStream) parts.push(Buffer.from(part))
  const bytes = Buffer.concat(parts)
  const file = `${name}-${version}-${tag}.whl`
  await Bun.write(join(directory, file), bytes)
  const sha256 = createHash("sha256").update(bytes).digest("hex")
  return { file, lock: `${name}==${version} \\\n    --hash=sha256:${sha256}\n` }
}

interface WheelOptions {
  readonly name: string
  readonly version?: string
  readonly tag?: string
  readonly source?: string
  /** More files, by path. */
  readonly files?: Readonly<Record<string, string>>
  /** As `Requires-Dist` has them. */
  readonly requires?: readonly string[]
}
