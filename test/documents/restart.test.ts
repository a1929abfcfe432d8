import { expect, setDefaultTimeout, test } from "bun:test"
import { chmod, readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startDocuments } from "../../src/documents/process.ts"
import { createLog } from "../../src/log.ts"
import { CHILD, reasonOf, startTestDocuments, type TestDocuments } from "./support.ts"

setDefaultTimeout(30_000)

/** A partition that takes long enough to be interrupted: a second or so. */
async function largePartition(t: TestDocuments) {
  const rows = Array.from({ length: 30_000 }, (_, row) => row)
  const lineage = await t.writeLineage(rows.map((row) => ({ row, object_id: `o${row}` })))
  const scalars = await t.writeScalars(
    rows.map((row) => ({ row, fields: JSON.stringify({ row, text: `t${row} `.repeat(30) }) })),
  )
  return t.request(lineage, scalars)
}

function killServing(t: TestDocuments): number {
  const { pid } = t.documents
  if (pid === null) throw new Error("no process serves")
  process.kill(pid, "SIGKILL")
  return pid
}

async function until(what: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await what())) {
    if (performance.now() > end) throw new Error("it did not happen")
    await Bun.sleep(5)
  }
}

const partials = async (t: TestDocuments) =>
  (await readdir(join(t.directory, "documents")).catch(() => [])).filter((name) => name.includes(".partial"))

test("a process that is killed in the middle of a part is replaced, and the part is written by the next", async () => {
  await using t = await startTestDocuments()
  const request = await largePartition(t)
  const first = t.documents.pid
  const writing = t.documents.writePart(request)
  await until(async () => (await partials(t)).length > 0)
  killServing(t)
  expect(await writing).toMatchObject({ ok: true, rows_out: 30_000 })
  expect(t.documents.pid).not.toBe(first)
  const part = { part_id: "p", path: request.part, features: [], rows: 30_000 }
  expect(await t.documents.count({ parts: [part], filters: { field: "row", operator: "gte", value: 0 } })).toBe(30_000)
})

test("output over which the process dies twice is refused, and the next part is written", async () => {
  await using t = await startTestDocuments()
  const request = await largePartition(t)
  const first = t.documents.pid
  const writing = t.documents.writePart(request)
  await Bun.sleep(30)
  killServing(t)
  await until(() => t.documents.pid !== null && t.documents.pid !== first)
  await Bun.sleep(30)
  killServing(t)
  expect(reasonOf(await writing)).toMatch(/died twice.*SIGKILL/)
  expect(await t.documents.writePart(request)).toMatchObject({ ok: true })
})

test("a part that waits its turn behind a death is not blamed for it", async () => {
  await using t = await startTestDocuments()
  const request = await largePartition(t)
  const both = [t.documents.writePart(request), t.documents.writePart({ ...request, part: `${request.part}b` })]
  for (let deaths = 0; deaths < 2; deaths++) {
    const before = t.documents.pid
    await Bun.sleep(30)
    killServing(t)
    await until(() => t.documents.pid !== null && t.documents.pid !== before)
  }
  expect(await Promise.all(both)).toMatchObject([{ ok: false }, { ok: true }])
})

test("reads in flight at a death fail as unavailable, later ones are answered", async () => {
  await using t = await startTestDocuments()
  const parts = [await t.part(Array.from({ length: 20_000 }, (_, n) => ({ n, text: "some words ".repeat(20) })))]
  const slow = { AND: Array.from({ length: 20 }, () => ({ field: "text", operator: "regex", value: "(.*o.*){4}z" })) }
  const reading = Promise.allSettled([
    t.documents.count({ parts, filters: slow }),
    t.documents.list({ parts, filters: slow, limit: 10 }),
    t.documents.get({ parts, documentId: "doc_x" }).then(() => t.documents.count({ parts, filters: slow })),
  ])
  await Bun.sleep(60)
  expect(t.documents.alive).toBe(true)
  killServing(t)
  for (const result of await reading) {
    expect(result).toMatchObject({
      status: "rejected",
      reason: { name: "ApplianceError", type: "ServiceUnavailableError" },
    })
  }
  expect(await t.documents.count({ parts })).toBe(20_000)
  expect(t.documents.alive).toBe(true)
})

test("a long query does not hold up a short one", async () => {
  await using t = await startTestDocuments({ queryDeadlineMs: 5_000 })
  const parts = [await t.part(Array.from({ length: 30_000 }, (_, n) => ({ n, text: "some words ".repeat(30) })))]
  // Each of them is asked of every document.
  const slow = { OR: [1, 2, 3, 4, 5, 6].map((n) => ({ field: "text", operator: "regex", value: `(.*o.*){4}z${n}` })) }
  let slowDone = false
  const long = Promise.allSettled([1, 2, 3].map(() => t.documents.count({ parts, filters: slow }))).then(() => {
    slowDone = true
  })
  await Bun.sleep(100)
  expect((await t.documents.list({ parts, limit: 3 })).documents.length).toBe(3)
  expect(slowDone).toBe(false)
  await long
})

test("the process ends with its owner, and calls after that are refused", async () => {
  const t = await startTestDocuments()
  const { pid } = t.documents
  if (pid === null) throw new Error("no process serves")
  process.kill(pid, "SIGTERM")
  process.kill(pid, "SIGINT")
  expect(await t.documents.count({ parts: [] })).toBe(0)
  expect(t.documents.pid).toBe(pid)
  await t[Symbol.asyncDispose]()
  expect(() => process.kill(pid, 0)).toThrow()
  await expect(t.documents.count({ parts: [] })).rejects.toMatchObject({ type: "ServiceUnavailableError" })
})

test("the process ends by itself when its owner is killed", async () => {
  await using t = await startTestDocuments()
  const owner = join(t.directory, "owner.ts")
  await writeFile(
    owner,
    `import { startDocuments } from ${JSON.stringify(join(import.meta.dir, "../../src/documents/process.ts"))}
     import { createLog } from ${JSON.stringify(join(import.meta.dir, "../../src/log.ts"))}
     const documents = await startDocuments({ command: ${JSON.stringify(CHILD)}, dataDir: ${JSON.stringify(t.directory)},
       memoryLimitMb: 128, threads: 1, temporaryDir: ${JSON.stringify(join(t.directory, "other"))}, log: createLog("silent") })
     console.log(documents.pid)
     setInterval(() => {}, 1000)`,
  )
  const process_ = Bun.spawn([process.execPath, owner], { stdout: "pipe", stderr: "inherit" })
  const { value } = await process_.stdout.getReader().read()
  const pid = Number(new TextDecoder().decode(value))
  expect(() => process.kill(pid, 0)).not.toThrow()
  process_.kill("SIGKILL")
  await process_.exited
  await until(() => !isRunning(pid))
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test("a command that is no documents process fails the start", async () => {
  await using t = await startTestDocuments()
  const settings = {
    dataDir: t.directory,
    memoryLimitMb: 128,
    threads: 1,
    temporaryDir: join(t.directory, "other"),
    log: createLog("silent"),
  }
  await expect(startDocuments({ ...settings, command: ["/bin/false"] })).rejects.toThrow(/ended/)
  const liar = join(t.directory, "liar")
  await writeFile(liar, "#!/bin/sh\nprintf '\\377\\377\\377\\377garbage' >&3\nsleep 60\n")
  await chmod(liar, 0o755)
  await expect(startDocuments({ ...settings, command: [liar] })).rejects.toThrow(/broke the protocol/)
})
