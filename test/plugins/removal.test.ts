import { expect, test } from "bun:test"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { pluginFiles, zip } from "./packing.ts"
import { readTwoLines, refusal, testPlugins } from "./support.ts"

const PLACE = "org_testtesttest/ns_testtesttest/plugin_custom/my_extractor_1_0_0"

test("a deleted plugin is gone with its files and its confirmed upload", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = await parts.publish("my_extractor")
  expect(await parts.plugins.remove(parts.namespace, "my_extractor_1_0_0")).toEqual({
    success: true,
    plugin_id: "my_extractor_1_0_0",
    message: expect.any(String),
    deployment_removed: false,
  })
  expect(parts.registry.get(parts.namespace, "my_extractor_1_0_0")).toBeNull()
  expect(await parts.files()).toEqual([])
  expect((await refusal(parts.confirm(id))).type).toBe("NotFoundError")
  expect((await refusal(parts.plugins.remove(parts.namespace, "my_extractor_1_0_0"))).type).toBe("NotFoundError")
})

test("a deleted version can be uploaded again, the same bytes or others", async () => {
  await using parts = testPlugins()
  const first = await parts.publish("my_extractor")
  await parts.plugins.remove(parts.namespace, first.plugin_id)
  const second = await parts.publish("my_extractor")
  expect(second.code_hash).toBe(first.code_hash)
  await parts.plugins.remove(parts.namespace, first.plugin_id)
  const third = await parts.publish("my_extractor", "1.0.0", { ...pluginFiles("my_extractor"), "more.py": "" })
  expect(third.code_hash).not.toBe(first.code_hash)
  expect(parts.registry.get(parts.namespace, first.plugin_id)?.packageName).toContain(third.code_hash.slice(0, 16))
})

test("a deletion while another upload of the version is confirmed leaves that one whole", async () => {
  await using parts = testPlugins()
  const first = await parts.publish("my_extractor")
  const bytes = await zip(pluginFiles("my_extractor"))
  await parts.plugins.remove(parts.namespace, first.plugin_id)
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, bytes)
  const [confirmed] = await Promise.allSettled([
    parts.confirm(id),
    parts.plugins.remove(parts.namespace, first.plugin_id),
  ])
  expect(confirmed.status).toBe("fulfilled")
  const plugin = parts.registry.get(parts.namespace, first.plugin_id)
  expect(existsSync(join(plugin?.treePath ?? "", "manifest.py"))).toBe(plugin !== null)
})

test("one namespace's deletion does not touch another's plugin of the same name", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor")
  const { upload_id: id } = parts.uploads.reserve(
    parts.elsewhere,
    { name: "my_extractor", version: "1.0.0" },
    () => undefined,
  )
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  await parts.confirmations.confirm(parts.elsewhere, id, {})
  await parts.plugins.remove(parts.namespace, "my_extractor_1_0_0")
  const other = parts.registry.get(parts.elsewhere, "my_extractor_1_0_0")
  expect(existsSync(join(other?.treePath ?? "", "manifest.py"))).toBe(true)
})

test("the sweep at start keeps what a row names and removes everything else", async () => {
  await using parts = testPlugins()
  const plugin = await parts.publish("kept_plugin")
  const waiting = parts.reserve("my_extractor")
  await parts.put(waiting.upload_id, await zip(pluginFiles("my_extractor")))
  const before = await parts.files()
  const leftovers = [
    `${PLACE}/${"0".repeat(64)}.zip`,
    `${PLACE}/${"0".repeat(64)}/manifest.py`,
    `${PLACE}/${waiting.upload_id}.some-uuid.partial`,
    `${PLACE}/${waiting.upload_id}.some-uuid-tree.partial/manifest.py`,
    "org_testtesttest/ns_testtesttest/incoming/plu_0",
    "org_testtesttest/ns_gone00000000/plugin_custom/gone_1_0_0/plu_1",
  ]
  for (const path of leftovers) {
    const file = join(parts.dataDir, "archives", path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, "left over")
  }
  expect(await parts.uploads.sweepArchives()).toBe(5)
  expect(await parts.files()).toEqual(before)
  expect(existsSync(parts.registry.get(parts.namespace, plugin.plugin_id)?.treePath ?? "")).toBe(true)
  expect((await parts.confirm(waiting.upload_id)).success).toBe(true)
})

test("the sweep removes the bytes of expired uploads, and a day later forgets them", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  parts.wait(3600_000)
  await parts.uploads.sweepArchives()
  expect(await parts.files()).toEqual([])
  expect(parts.metadata.read.plugins.upload(id)).toBeDefined()
  parts.wait(24 * 3600_000)
  await parts.uploads.sweepArchives()
  expect(parts.metadata.read.plugins.upload(id)).toBeUndefined()
})

test("files that a killed confirmation had put in place are replaced by the next one", async () => {
  await using parts = testPlugins()
  const first = await parts.publish("my_extractor")
  const tree = parts.registry.get(parts.namespace, first.plugin_id)?.treePath ?? ""
  // As if the kill came between the rename and the transaction.
  parts.metadata.transact((tx) => tx.write.plugins.erase(parts.namespace.namespaceId))
  expect(existsSync(tree)).toBe(true)
  const second = await parts.publish("my_extractor")
  expect(second.code_hash).toBe(first.code_hash)
  expect(await Bun.file(join(tree, "manifest.py")).text()).toContain("my_extractor")
})

test("a removed namespace's plugins go with rows and files, and no confirmation brings them back", async () => {
  const gate = Promise.withResolvers<void>()
  const reading = Promise.withResolvers<void>()
  await using parts = testPlugins({
    readManifest: async (plugin) => {
      reading.resolve()
      await gate.promise
      return readTwoLines(plugin)
    },
  })
  const { upload_id: id } = parts.reserve("my_extractor")
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  const confirming = refusal(parts.confirm(id))
  await reading.promise
  parts.metadata.transact((tx) =>
    tx.write.organizations.removeNamespace(
      parts.namespace.internalId,
      parts.namespace.namespaceId,
      "2026-01-10T12:00:00Z",
    ),
  )
  gate.resolve()
  expect((await confirming).type).toBe("NotFoundError")
  await parts.uploads.eraseNamespace(parts.namespace)
  expect(await parts.files()).toEqual([])
  expect(parts.metadata.read.plugins.list(parts.namespace.namespaceId)).toEqual([])
})
