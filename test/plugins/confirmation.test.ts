import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { chmodSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { below, pluginFiles, tarGz, zip } from "./packing.ts"
import { readTwoLines, refusal, testPlugins } from "./support.ts"

const FORBIDDEN = { "processors/core.py": "import json\nimport subprocess\n" }

test("a plugin that passes is registered, visible to collections, and its tree is read-only", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor", "v1")
  await parts.put(id, await zip(pluginFiles("my_extractor", "v1")))
  const answer = await parts.confirm(id)
  expect(answer).toMatchObject({
    success: true,
    upload_id: id,
    plugin_id: "my_extractor_1_0_0",
    validation_status: "passed",
    validation_errors: [],
    deployment_status: "not_deployed",
    feature_uri: "mixpeek://my_extractor@1.0.0",
    warnings: [],
  })
  const plugin = parts.registry.known(parts.namespace).find("my_extractor", "1.0")
  expect(plugin).toMatchObject({
    pluginId: "my_extractor_1_0_0",
    version: "1.0.0",
    codeHash: answer.code_hash,
    hasRealtime: false,
    manifest: { features: [{ feature_name: "an_embedding", embedding_dim: 4 }] },
  })
  expect(plugin?.packageName).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/)
  expect(await Bun.file(join(plugin?.treePath ?? "", "manifest.py")).text()).toContain("my_extractor")
  expect(statSync(join(plugin?.treePath ?? "", "processors")).mode & 0o222).toBe(0)
  expect(statSync(join(plugin?.treePath ?? "", "processors/core.py")).mode & 0o222).toBe(0)
})

test("the archive is kept under the hash of its bytes, the tree beside it, and the upload's bytes are gone", async () => {
  await using parts = testPlugins()
  const bytes = await zip(pluginFiles("my_extractor"))
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, bytes)
  const answer = await parts.confirm(id)
  const place = "org_testtesttest/ns_testtesttest/plugin_custom/my_extractor_1_0_0"
  const sha256 = createHash("sha256").update(bytes).digest("hex")
  expect(await parts.files()).toEqual([
    `${place}/${sha256}.zip`,
    `${place}/${sha256}/manifest.py`,
    `${place}/${sha256}/pipeline.py`,
    `${place}/${sha256}/processors/core.py`,
  ])
  expect(answer.s3_archive_url).toBe(`s3://archives/${place}/${sha256}.zip`)
})

test("the same code has the same code hash as zip and as tar.gz, flat and below one directory; other code has another", async () => {
  await using parts = testPlugins()
  const hashes: string[] = []
  for (const [index, pack] of [zip, tarGz].entries()) {
    for (const [flat, layout] of [pluginFiles("same_code"), below("same_code", pluginFiles("same_code"))].entries()) {
      const namespace = index === flat ? parts.namespace : parts.elsewhere
      const { upload_id: id } = parts.uploads.reserve(
        namespace,
        { name: "same_code", version: "1.0.0" },
        () => undefined,
      )
      await parts.put(id, await pack(layout))
      hashes.push((await parts.confirmations.confirm(namespace, id, {})).code_hash)
      await parts.plugins.remove(namespace, "same_code_1_0_0")
    }
  }
  expect(new Set(hashes).size).toBe(1)
  const other = await parts.publish("same_code", "1.0.0", { ...pluginFiles("same_code"), "more.py": "" })
  expect(hashes).not.toContain(other.code_hash)
})

test("an archive with a forbidden import is refused with the seed's body, and leaves nothing but its upload", async () => {
  await using parts = testPlugins()
  const { upload_id: id, s3_key: key } = parts.reserve("my_extractor")
  await parts.put(id, await zip({ ...pluginFiles("my_extractor"), ...FORBIDDEN }))
  const error = await refusal(parts.confirm(id))
  const violation = {
    file: "processors/core.py",
    line: 2,
    column: 0,
    message: "Forbidden import: subprocess",
    severity: "error",
  }
  expect(error).toMatchObject({
    type: "BadRequestError",
    beside: { detail: "Security scan failed", violations: [violation] },
    details: { violations: [violation] },
  })
  expect(await parts.files()).toEqual([key])
  expect(parts.plugins.list(parts.namespace).plugins).toEqual([])
})

test("manifest code is not run before the scan has passed", async () => {
  let read = 0
  await using parts = testPlugins({
    readManifest: (plugin) => {
      read++
      return readTwoLines(plugin)
    },
  })
  await refusal(parts.publish("my_extractor", "1.0.0", { ...pluginFiles("my_extractor"), ...FORBIDDEN }))
  expect(read).toBe(0)
})

test("an import that the environment lacks is noted in the answer, and the record names the rule set", async () => {
  await using parts = testPlugins()
  const files = { ...pluginFiles("noted"), "more.py": "import numpy, json\nimport unheard_of\n" }
  const answer = await parts.publish("noted", "1.0.0", files)
  expect(answer.warnings).toEqual([])
  expect(answer.notes).toEqual([
    { file: "more.py", line: 2, column: 0, message: expect.stringContaining("no module unheard_of") },
  ])
  const { plugin } = parts.plugins.get(parts.namespace, answer.plugin_id, false)
  expect(plugin.security_scan_rules).toBe("seed-2026-01")
})

test("a file that Python runs by itself is refused with the reason", async () => {
  await using parts = testPlugins()
  const error = await refusal(parts.publish("hooked", "1.0.0", { ...pluginFiles("hooked"), "usercustomize.py": "" }))
  expect(JSON.stringify(error.beside)).toContain("Python runs it by itself")
})

test("warnings let a plugin pass and are shown in the answer and the document; strict mode refuses them", async () => {
  const files = {
    ...pluginFiles("my_extractor"),
    "extra.py": "import pickle\n# older spelling\n",
    "manifest.py": `${pluginFiles("my_extractor")["manifest.py"]}# older spelling\n`,
  }
  await using parts = testPlugins()
  const answer = await parts.publish("my_extractor", "1.0.0", files)
  expect(answer.warnings).toEqual([
    { file: "extra.py", line: 1, column: 0, message: expect.stringContaining("pickle"), severity: "warning" },
    { file: "manifest.py", line: null, column: null, message: expect.stringContaining("older"), severity: "warning" },
  ])
  expect(parts.plugins.get(parts.namespace, answer.plugin_id, false).plugin.warnings).toEqual(answer.warnings)

  await using strict = testPlugins({ strict: true })
  expect((await refusal(strict.publish("my_extractor", "1.0.0", files))).beside).toMatchObject({
    detail: "Security scan failed",
  })
})

test.each(["manifest.py", "pipeline.py"])("an archive without %s is refused and the file is named", async (file) => {
  await using parts = testPlugins()
  const { [file]: _, ...rest } = pluginFiles("my_extractor")
  const error = await refusal(parts.publish("my_extractor", "1.0.0", rest))
  expect(error).toMatchObject({
    type: "BadRequestError",
    beside: { detail: `The archive lacks ${file}`, validation_errors: [expect.stringContaining(file)] },
  })
  expect(error.message).toContain(`The archive lacks ${file}: ${file} is missing at the top`)
})

test("bytes that are no archive are refused in the same shape, and no bytes with where to send them", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor")
  const none = await refusal(parts.confirm(id))
  expect([none.type, none.message]).toEqual(["NotFoundError", expect.stringContaining("presigned_url")])
  await parts.put(id, new TextEncoder().encode("not an archive at all"))
  const error = await refusal(parts.confirm(id))
  expect(error.type).toBe("BadRequestError")
  expect(error.beside).toMatchObject({ detail: expect.any(String), validation_errors: expect.any(Array) })
})

test("a manifest of another name or version is refused, a version in another spelling is not", async () => {
  await using parts = testPlugins()
  const wrong = await refusal(parts.publish("my_extractor", "1.0.0", pluginFiles("your_extractor", "1.0.1")))
  expect(wrong.beside).toMatchObject({
    validation_errors: [expect.stringContaining("your_extractor"), expect.stringContaining("1.0.1")],
  })
  expect((await parts.publish("my_extractor", "1.0.0", pluginFiles("my_extractor", "v1"))).success).toBe(true)
})

test("a failure of manifest code reaches its author with the traceback", async () => {
  const error = {
    error_type: "runtime" as const,
    exception: "ZeroDivisionError",
    message: "division by zero",
    traceback: 'File "manifest.py", line 3',
    stage: "manifest",
  }
  await using parts = testPlugins({ readManifest: async () => ({ ok: false, error }) })
  expect(await refusal(parts.publish("my_extractor"))).toMatchObject({
    type: "BadRequestError",
    message: "manifest.py could not be read: ZeroDivisionError: division by zero",
    beside: { detail: "manifest.py could not be read", validation_errors: ["ZeroDivisionError: division by zero"] },
    details: { traceback: 'File "manifest.py", line 3' },
  })
  expect(parts.plugins.list(parts.namespace).total).toBe(0)
})

test("a plugin that rewrites its own files while its manifest is read is refused", async () => {
  await using parts = testPlugins({
    readManifest: (plugin) => {
      chmodSync(plugin.treePath, 0o755)
      writeFileSync(join(plugin.treePath, "late.py"), "import subprocess\n")
      return readTwoLines(plugin)
    },
  })
  expect((await refusal(parts.publish("my_extractor"))).message).toContain("files changed")
  expect(parts.registry.get(parts.namespace, "my_extractor_1_0_0")).toBeNull()
})

test("without bytes it is not found, after its time it is a bad request", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor")
  expect((await refusal(parts.confirm(id))).type).toBe("NotFoundError")
  expect((await refusal(parts.confirm("plu_unknown"))).type).toBe("NotFoundError")
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  parts.wait(3600_000)
  expect(await refusal(parts.confirm(id))).toMatchObject({
    type: "BadRequestError",
    beside: { detail: expect.stringContaining("expired") },
  })
})

test("an upload of another namespace is not found", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  expect((await refusal(parts.confirmations.confirm(parts.elsewhere, id, {}))).type).toBe("NotFoundError")
})

test("a declared size or etag that the bytes do not have is refused; quotes around the etag do not matter", async () => {
  await using parts = testPlugins()
  const bytes = await zip(pluginFiles("my_extractor"))
  const { upload_id: id } = parts.reserve("my_extractor", "1.0.0", { file_size_bytes: bytes.byteLength })
  const { etag } = await parts.put(id, bytes)
  expect((await refusal(parts.confirm(id, { file_size_bytes: 1 }))).type).toBe("BadRequestError")
  expect((await refusal(parts.confirm(id, { etag: "0".repeat(32) }))).type).toBe("BadRequestError")
  expect((await parts.confirm(id, { etag: `"${etag}"`, file_size_bytes: bytes.byteLength })).success).toBe(true)

  const declared = parts.reserve("other_extractor", "1.0.0", { file_size_bytes: 5 })
  await parts.put(declared.upload_id, await zip(pluginFiles("other_extractor")))
  expect((await refusal(parts.confirm(declared.upload_id))).beside).toMatchObject({
    validation_errors: [expect.stringContaining("the reservation says 5 bytes")],
  })
})

test("after a refusal other bytes can be put to the same upload and pass", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, await zip({ ...pluginFiles("my_extractor"), ...FORBIDDEN }))
  await refusal(parts.confirm(id))
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  expect((await parts.confirm(id)).success).toBe(true)
})

test("confirming again answers the same, also at the same time, and the code is validated once", async () => {
  let read = 0
  await using parts = testPlugins({
    readManifest: async (plugin) => {
      read++
      await Bun.sleep(20)
      return readTwoLines(plugin)
    },
  })
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  const [first, second] = await Promise.all([parts.confirm(id), parts.confirm(id)])
  expect(second).toEqual(first)
  parts.wait(24 * 3600_000)
  expect(await parts.confirm(id)).toEqual(first)
  expect(read).toBe(1)
})

test("of two uploads of one version the first confirm wins, the second is refused and the first's files stay", async () => {
  await using parts = testPlugins()
  const bytes = await zip(pluginFiles("my_extractor"))
  const ids = [parts.reserve("my_extractor").upload_id, parts.reserve("my_extractor").upload_id]
  for (const id of ids) await parts.put(id, bytes)
  const outcomes = await Promise.allSettled(ids.map((id) => parts.confirm(id)))
  expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(["fulfilled", "rejected"])
  const refused = outcomes.find((outcome) => outcome.status === "rejected")
  expect(refused?.reason).toMatchObject({ type: "AlreadyExistsError" })
  const plugin = parts.registry.get(parts.namespace, "my_extractor_1_0_0")
  expect(await Bun.file(join(plugin?.treePath ?? "", "manifest.py")).exists()).toBe(true)
})

test("bytes put while a confirmation runs do not change what it registers", async () => {
  const gate = Promise.withResolvers<void>()
  const reading = Promise.withResolvers<void>()
  await using parts = testPlugins({
    readManifest: async (plugin) => {
      reading.resolve()
      await gate.promise
      return readTwoLines(plugin)
    },
  })
  const bytes = await zip(pluginFiles("my_extractor"))
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, bytes)
  const confirming = parts.confirm(id)
  await reading.promise
  await parts.put(id, await zip({ ...pluginFiles("my_extractor"), ...FORBIDDEN }))
  gate.resolve()
  const answer = await confirming
  expect(answer.s3_archive_url).toContain(createHash("sha256").update(bytes).digest("hex"))
})
