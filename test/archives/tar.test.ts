import { describe, expect, test } from "bun:test"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { paxRecord, type TarEntry, tarGzOf, tarOf } from "./archive-builder.ts"
import { ownDirectory } from "./own-directory.ts"

const { directory, unpack, refusalOf } = ownDirectory()

describe("tar.gz", () => {
  test.each([
    ["a hard link", [{ name: "a.py", type: "1", link: "manifest.py" }], "link"],
    ["a symbolic link", [{ name: "a.py", type: "2", link: "/etc/passwd" }], "link"],
    ["a character device", [{ name: "a.py", type: "3" }], "device"],
    ["a block device", [{ name: "a.py", type: "4" }], "device"],
    ["a pipe", [{ name: "a.py", type: "6" }], "pipe"],
    ["a GNU sparse file", [{ name: "a.py", type: "S" }], "link, device"],
    ["a pax sparse file", [pax(paxRecord("GNU.sparse.major", "1")), { name: "a.py", data: "x" }], "sparse"],
    ["a pax name that climbs", [pax(paxRecord("path", "../evil.py")), { name: "a.py", data: "x" }], "climbs"],
    ["a GNU long name that climbs", [longName("../evil.py\0"), { name: "a.py", data: "x" }], "climbs"],
    ["a pax size that is no number", [pax(paxRecord("size", "-5")), { name: "a.py", data: "x" }], "impossible size"],
    ["a pax size past the end", [pax(paxRecord("size", "99999")), { name: "a.py", data: "x" }], "ends too early"],
    ["a damaged pax record", [pax("99 path=a\n"), { name: "a.py", data: "x" }], "damaged"],
    [
      "a global header that renames",
      [{ ...pax(paxRecord("path", "b.py")), type: "g" }, { name: "a.py" }],
      "global header",
    ],
    ["a pax header without its entry", [pax(paxRecord("path", "a.py"))], "middle of an entry"],
    ["a huge pax header", [pax("x".repeat(100_000)), { name: "a.py" }], "too large"],
    ["a folder with content", [{ name: "a/", type: "5", data: "x" }], "has content"],
    ["a wrong checksum", [{ name: "a.py", badChecksum: true }], "damaged header"],
  ] as [string, TarEntry[], string][])("%s is refused", async (_title, entries, reason) => {
    expect((await refusalOf(tarGzOf([{ name: "manifest.py", data: "x" }, ...entries])))[0]).toContain(reason)
  })

  test("long names by pax and by GNU headers are read", async () => {
    const long = `${"deep/".repeat(10)}${"n".repeat(120)}.py`
    const entries = [
      pax(paxRecord("path", long)),
      { name: "cut.py", data: "1" },
      longName(`b/${"m".repeat(150)}.py\0`),
      { name: "cut.py", data: "2" },
    ]
    const { files } = await unpack(tarGzOf(entries))
    expect(files.map(({ path }) => path)).toEqual([`b/${"m".repeat(150)}.py`, long])
  })

  test("the comment of a repository's archive is no reason to refuse it", async () => {
    const comment = { ...pax(paxRecord("comment", "0123abcd")), type: "g" }
    expect((await unpack(tarGzOf([comment, { name: "a.py", data: "x" }]))).files).toHaveLength(1)
  })

  test("zeros pad the end, anything else is refused", async () => {
    const entries = [{ name: "a.py", data: "x" }]
    expect((await unpack(tarGzOf(entries, Buffer.alloc(10_240)))).files).toHaveLength(1)
    await rm(join(directory(), "plugin"), { recursive: true })
    expect((await refusalOf(tarGzOf(entries, Buffer.concat([Buffer.alloc(1024), Buffer.from("x")]))))[0]).toContain(
      "behind its end",
    )
    const second = Buffer.concat([Buffer.alloc(1024), tarOf([{ name: "evil.py", data: "x" }])])
    expect((await refusalOf(tarGzOf(entries, second)))[0]).toContain("behind its end")
    expect((await refusalOf(tarGzOf(entries, Buffer.alloc(512))))[0]).toContain("ends too early")
  })

  test("much behind the end of gzip is refused like little of it", async () => {
    // Without anything to write the end of gzip is reached long before the end of the file.
    for (const entry of [
      { name: "__pycache__", type: "5" },
      { name: "__pycache__", data: "x".repeat(280_000) },
    ]) {
      const archive = tarGzOf([entry])
      for (const bytes of [1, 64 * 1024, 82_206, 256 * 1024, 1024 * 1024]) {
        const refusal = await refusalOf(Buffer.concat([archive, Buffer.alloc(bytes)]))
        expect([bytes, refusal]).toEqual([bytes, ["The archive has something behind its end"]])
      }
    }
  })

  test.each([
    ["a base 256 number of no known sign", "8f"],
    ["a base 256 number beyond all integers", "80".padEnd(24, "ff")],
  ])("%s as an entry's size is refused", async (_title, hex) => {
    const archive = tarOf([{ name: "a.py", data: "x" }])
    Buffer.from(hex, "hex").copy(archive, 124)
    const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0)
    const digits = archive.subarray(148, 156).reduce((total, byte) => total + byte, 0)
    archive.write(`${(sum - digits + 8 * 32).toString(8).padStart(6, "0")}\0 `, 148)
    expect(await refusalOf(gzipSync(archive))).toEqual(["The tar archive has a damaged header"])
  })

  test("gzip that is no tar is refused", async () => {
    expect(await refusalOf(gzipSync("just a text, compressed"))).toEqual(["The tar archive ends too early"])
  })
})

function pax(data: string): TarEntry {
  return { name: "PaxHeader/x", type: "x", data }
}

function longName(data: string): TarEntry {
  return { name: "././@LongLink", type: "L", data }
}
