import { describe, expect, test } from "bun:test"
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { DEFAULT_ARCHIVE_LIMITS } from "../../src/archives/reader.ts"
import { ArchiveRefused, Unpacking } from "../../src/archives/unpacking.ts"
import { readZip } from "../../src/archives/zip-reader.ts"
import { ApplianceError } from "../../src/errors.ts"
import { type TarEntry, tarGzOf, tarOf, type ZipEntry, zipOf } from "./archive-builder.ts"
import { ownDirectory } from "./own-directory.ts"

const { directory, unpack, refusalOf } = ownDirectory()

const plugin = ["manifest.py", "pipeline.py", "processors/core.py"]
const withContent = (names: string[]) => names.map((name) => ({ name, data: `# ${name}\n` }))
const formats = {
  zip: (entries: (ZipEntry & TarEntry)[]) => zipOf(entries),
  "tar.gz": (entries: TarEntry[]) => tarGzOf(entries),
}

describe.each(Object.entries(formats))("%s", (_format, pack) => {
  test.each([
    ["flat", ""],
    ["in one top directory", "my_extractor/"],
    ["behind a leading dot", "./"],
  ])("a plugin %s unpacks to the same paths", async (_layout, top) => {
    const { files } = await unpack(pack(withContent(plugin.map((path) => top + path))))
    expect(files).toEqual(plugin.map((path) => ({ path, bytes: `# ${top}${path}\n`.length })))
    expect(await readFile(join(directory(), "plugin/processors/core.py"), "utf8")).toBe(`# ${top}processors/core.py\n`)
    expect((await readdir(directory())).sort()).toEqual(["plugin", "upload"])
  })

  test("__init__.py is kept where it is given and asked for nowhere", async () => {
    const { files } = await unpack(pack(withContent(["p/__init__.py", "p/manifest.py", "p/processors/__init__.py"])))
    expect(files.map(({ path }) => path)).toEqual(["__init__.py", "manifest.py", "processors/__init__.py"])
  })

  test("only one top directory is taken off", async () => {
    const { files } = await unpack(pack(withContent(["a/b/manifest.py", "a/b/pipeline.py"])))
    expect(files.map(({ path }) => path)).toEqual(["b/manifest.py", "b/pipeline.py"])
  })

  test("what archivers leave behind is neither written nor counted as a top directory", async () => {
    const left = [
      "__MACOSX/p/._manifest.py",
      "p/.DS_Store",
      "p/__pycache__/core.cpython-311.pyc",
      "p/.git/config",
      "p/._core.py",
    ]
    const { files } = await unpack(pack(withContent(["p/manifest.py", ...left])))
    expect(files.map(({ path }) => path)).toEqual(["manifest.py"])
    expect(await readdir(join(directory(), "plugin"))).toEqual(["manifest.py"])
  })

  test("folders get 0755 and files 0444, whatever the archive says", async () => {
    await unpack(pack([{ name: "processors/", type: "5", mode: 0o040777 }, ...withContent(plugin)]))
    const modeOf = async (path: string) => (await stat(join(directory(), "plugin", path))).mode & 0o7777
    expect(await modeOf("processors")).toBe(0o755)
    expect(await modeOf("processors/core.py")).toBe(0o444)
  })

  test.each([
    ["../evil.py", "climbs"],
    ["a/../../evil.py", "climbs"],
    ["/etc/evil.py", "absolute"],
    ["C:/evil.py", "absolute"],
    ["a\\b.py", "backslash"],
    ["..\\evil.py", "backslash"],
    ["a\nb.py", "invisible"],
    ["a\u202eyp.b", "invisible"],
    ["a//b.py", "empty parts"],
    ["a/./b.py", "empty parts"],
    [".git/../../evil.py", "climbs"],
    ["__MACOSX/../../evil.py", "climbs"],
    [`${"d/".repeat(16)}deep.py`, "nested"],
    ["lib.so", "native"],
    ["libx.so.1.2", "native"],
    ["X.PYD", "native"],
    ["x.dll", "native"],
    ["x.dylib", "native"],
    ["x.pyc", "byte code"],
    ["x.pyo", "byte code"],
    ["x.egg", "packed"],
    ["x.whl", "packed"],
    ["x.pth", "path-configuration"],
    ["X.PTH", "path-configuration"],
    ["models/x.pth", "path-configuration"],
    ["lib/site-packages/x.pth", "path-configuration"],
    ["sitecustomize.py", "Python runs it by itself"],
    ["deep/UserCustomize.PY", "Python runs it by itself"],
    ["sitecustomize/__init__.py", "Python runs it by itself"],
  ])("an entry named %j is refused", async (name, reason) => {
    const reasons = await refusalOf(pack([...withContent(["manifest.py"]), { name, data: "x" }]))
    expect(reasons).toHaveLength(1)
    expect(reasons[0]).toContain(reason)
  })

  test("a name longer than the limit is refused", async () => {
    expect((await refusalOf(pack(withContent([`${"ä".repeat(20)}.py`])), { pathBytes: 40 }))[0]).toContain(
      "longer than 40 bytes",
    )
  })

  test.each([
    [["core.py", "core.py"], "twice"],
    [["core.py", "Core.PY"], "letter case"],
    [["caf\u00e9.py", "cafe\u0301.py"], "composition"],
    [["stra\u00dfe.py", "STRASSE.py"], "letter case"],
    [["Lib/a.py", "lib/b.py"], "letter case"],
    [["core", "core/a.py"], "file and of a folder"],
    [["core/a.py", "core"], "file and of a folder"],
  ])("names that collide are refused: %j", async (names, reason) => {
    expect((await refusalOf(pack(withContent(names))))[0]).toContain(reason)
  })

  test.each([
    ["ELF", Buffer.from("\x7fELF\x02\x01\x01", "latin1")],
    ["Mach-O", Buffer.from("cffaedfe07000001", "hex")],
    ["universal Mach-O", Buffer.from("cafebabe00000002", "hex")],
    ["Windows", windowsProgram()],
  ])("native code of %s is refused under any name", async (_kind, data) => {
    expect(
      (await refusalOf(pack([...withContent(["manifest.py"]), { name: "models/weights.bin", data }])))[0],
    ).toContain("native")
  })

  test.each([
    ["a zip archive", "models/net.pth", Buffer.from("PK\x03\x04rest", "latin1")],
    ["a pickle of protocol 2", "weights/NET.PTH", Buffer.from("\x80\x02\x8arest", "latin1")],
  ])("weights named .pth pass when they are %s", async (_kind, name, data) => {
    const { files } = await unpack(pack([...withContent(["manifest.py"]), { name, data }]))
    expect(files.map(({ path }) => path)).toContain(name)
  })

  test.each(["net.pth", "a/dist-packages/net.pth"])(
    "where Python looks for packages even weights must not be named .pth: %s",
    async (name) => {
      const data = Buffer.from("PK\x03\x04rest", "latin1")
      expect((await refusalOf(pack([...withContent(["manifest.py"]), { name, data }])))[0]).toContain("models/")
    },
  )

  test.each(["customize.py", "mysitecustomize.py", "notes/pth.txt", "sitecustomizer.py"])(
    "a name that only comes near passes: %s",
    async (name) => {
      const { files } = await unpack(pack(withContent(["manifest.py", name])))
      expect(files).toHaveLength(2)
    },
  )

  test("a text that starts with MZ is no program", async () => {
    const { files } = await unpack(pack([{ name: "data.txt", data: `MZ${"x".repeat(5000)}` }]))
    expect(files).toEqual([{ path: "data.txt", bytes: 5002 }])
  })

  test("every bad name is named, not only the first", async () => {
    expect(await refusalOf(pack(withContent(["../a.py", "b.so", "manifest.py", "/c.py"])))).toHaveLength(3)
  })

  test("more entries than allowed are refused, folders and skipped ones counted", async () => {
    const entries = [...withContent(["a.py", ".DS_Store"]), { name: "d/", type: "5", mode: 0o040755 }]
    expect((await refusalOf(pack(entries), { files: 2 }))[0]).toContain("more than 2 entries")
  })

  test("a bomb is stopped at the ratio, long before it is unpacked", async () => {
    const bomb = pack([{ name: "zeros.bin", data: Buffer.alloc(64 * 1024 * 1024) }])
    expect((await refusalOf(bomb))[0]).toContain("200 times its size")
  })

  test("more bytes than allowed are refused", async () => {
    const data = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251))
    expect((await refusalOf(pack([{ name: "a.bin", data }]), { unpackedBytes: 4000 }))[0]).toContain(
      "more than 4000 bytes",
    )
  })

  test("an archive larger than allowed is refused unread", async () => {
    expect((await refusalOf(pack(withContent(plugin)), { packedBytes: 50 }))[0]).toContain("larger than 50 bytes")
  })

  test("an archive without files is refused", async () => {
    expect((await refusalOf(pack([{ name: "p/", type: "5", mode: 0o040755 }])))[0]).toContain("no files")
  })

  test("something behind the end is refused", async () => {
    expect(await refusalOf(Buffer.concat([pack(withContent(plugin)), Buffer.from("garbage!")]))).toHaveLength(1)
  })

  test("an archive cut at any place is refused", async () => {
    const whole = pack(withContent(plugin))
    for (let length = 0; length < whole.length; length += 37)
      expect(await refusalOf(whole.subarray(0, length))).toHaveLength(1)
  })

  test("an archive with any one byte changed is refused or unpacks to the same names, and never ends in a fault", async () => {
    const whole = pack(withContent(["manifest.py", "pipeline.py"]))
    for (let index = 0; index < whole.length; index += 3) {
      const changed = Buffer.from(whole)
      changed[index] = (changed[index] ?? 0) ^ 0x55
      const answer = await unpack(changed).catch((error: unknown) => error)
      if (answer instanceof Error)
        expect({ index, error: answer }).toEqual({ index, error: expect.any(ApplianceError) })
      await rm(join(directory(), "plugin"), { recursive: true, force: true })
    }
  })
})

describe("zip", () => {
  test.each([
    ["a symbolic link", { name: "link.py", data: "/etc/passwd", mode: 0o120777 }, "link"],
    ["a device", { name: "dev.py", mode: 0o020666 }, "device"],
    ["a pipe", { name: "pipe.py", mode: 0o010666 }, "pipe"],
    ["a folder that is said to be a file", { name: "core/", mode: 0o100644 }, "link, device"],
    ["another name in the local header", { name: "core.py", localName: "evil.py", data: "x" }, "another name"],
    ["an encrypted entry", { name: "core.py", data: "x", flags: 0x801 }, "encrypted"],
    ["an unknown compression", { name: "core.py", data: "x", method: 12 }, "deflate"],
    ["a wrong checksum", { name: "core.py", data: "x", crc: 1 }, "checksum"],
    ["a size that is too small", { name: "core.py", data: "x".repeat(100), uncompressedSize: 10 }, "cannot be read"],
    ["a size that is too large", { name: "core.py", data: "x", uncompressedSize: 1000 }, "cannot be read"],
    ["a name that is not UTF-8", { name: Buffer.from("caf\xe9.py", "latin1"), data: "x" }, "UTF-8"],
    ["a name with a NUL", { name: "core.py\0.txt", data: "x" }, "invisible"],
  ] as [string, ZipEntry, string][])("%s is refused", async (_title, entry, reason) => {
    expect((await refusalOf(zipOf([{ name: "manifest.py", data: "x" }, entry])))[0]).toContain(reason)
  })

  test("a damaged entry is refused, too, when its error comes before the file to write is open", async () => {
    const archive = join(directory(), "damaged.zip")
    const bytes = zipOf([{ name: "a.py", data: "x = 1\n" }])
    bytes.fill(0xff, 34, 40)
    await writeFile(archive, bytes)
    class Slow extends Unpacking {
      override async writeFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
        await Bun.sleep(50)
        return super.writeFile(path, chunks)
      }
    }
    const reading = readZip(archive, new Slow(directory(), bytes.length, DEFAULT_ARCHIVE_LIMITS))
    expect(await reading.catch((error: unknown) => error)).toBeInstanceOf(ArchiveRefused)
  }, 5000)

  test("entries that share their bytes are refused", async () => {
    const entries = [
      { name: "a.py", data: "x".repeat(1000) },
      { name: "a.py ", localName: "a.py", sameAs: 0 },
    ]
    expect(await refusalOf(zipOf(entries))).toEqual(["The archive's entries overlap"])
  })

  test("something before the first entry is refused", async () => {
    const shifted = zipOf([{ name: "a.py", data: "x" }], { before: Buffer.from("PK\x03\x04 a program") })
    expect((await refusalOf(shifted))[0]).toContain("starts with something else")
  })

  test("of two archives in one file neither is unpacked: others would take the other one", async () => {
    const archive = (text: string) => zipOf([{ name: "a.py", data: text, stored: true }])
    const twice = Buffer.concat([archive("x = 1\n"), archive("x = 2\n")])
    expect((await refusalOf(twice))[0]).toContain("between its directory and its end")
  })

  test("stored entries unpack like deflated ones", async () => {
    expect((await unpack(zipOf([{ name: "a.py", data: "x = 1\n", stored: true }]))).files).toEqual([
      { path: "a.py", bytes: 6 },
    ])
  })
})

test.each([
  ["an empty file", Buffer.alloc(0)],
  ["a text", Buffer.from("print('hello')")],
  ["a bare tar", tarOf([{ name: "manifest.py", data: "x" }])],
  ["a bzip2 file", Buffer.from("BZh91AY&SY")],
])("%s is no archive", async (_title, bytes) => {
  expect(await refusalOf(bytes)).toEqual(["It is neither a zip nor a tar.gz archive"])
})

test("a target that exists is left alone", async () => {
  await unpack(zipOf([{ name: "a.py", data: "first" }]))
  await expect(unpack(zipOf([{ name: "a.py", data: "second" }]))).rejects.toThrow("exists already")
  expect(await readFile(join(directory(), "plugin/a.py"), "utf8")).toBe("first")
})

function windowsProgram(): Buffer {
  const program = Buffer.alloc(200)
  program.write("MZ", 0, "latin1")
  program.writeUInt32LE(128, 0x3c)
  program.write("PE\0\0", 128, "latin1")
  return program
}
