import { expect, test } from "bun:test"
import { pluginFiles, zip } from "./packing.ts"
import { refusal, testPlugins } from "./support.ts"

const WITH_REALTIME = { ...pluginFiles("live_extractor"), "realtime.py": "class RealtimeHandler:\n    pass\n" }

test("the list has a namespace's own plugins, oldest first", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor", "1.0.0")
  parts.wait(1000)
  await parts.publish("my_extractor", "1.1.0")
  const list = parts.plugins.list(parts.namespace)
  expect(list).toMatchObject({ success: true, total: 2, namespace_id: "ns_testtesttest" })
  expect(list.plugins[0]).toEqual({
    plugin_id: "my_extractor_1_0_0",
    name: "my_extractor",
    version: "1.0.0",
    description: "Counts letters",
    deployed: false,
    validation_status: "passed",
    feature_uri: "mixpeek://my_extractor@1.0.0",
    created_at: "2026-01-10T12:00:00.500Z",
    updated_at: "2026-01-10T12:00:00.500Z",
  })
  expect(list.plugins.map((plugin) => plugin.version)).toEqual(["1.0.0", "1.1.0"])
  expect(parts.plugins.list(parts.elsewhere).plugins).toEqual([])
})

test("the document carries the manifest; the download URL only comes when it is asked for", async () => {
  await using parts = testPlugins()
  const { code_hash: hash } = await parts.publish("my_extractor")
  const plain = parts.plugins.get(parts.namespace, "my_extractor_1_0_0", false)
  expect(plain.presigned_download_url).toBeNull()
  expect(plain.plugin).toMatchObject({
    plugin_id: "my_extractor_1_0_0",
    organization_id: "org_testtesttest",
    code_hash: hash,
    validation_status: "passed",
    security_scan_passed: true,
    deployed: false,
    manifest: { feature_extractor_name: "my_extractor", version: "1.0.0", dependencies: [] },
  })
  const signed = parts.plugins.get(parts.namespace, "my_extractor_1_0_0", true)
  expect(signed.presigned_download_url).toBe("signed:GET:archives/ns_testtesttest/my_extractor_1_0_0")
})

test("a description given at the reservation wins over the manifest's", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor", "1.0.0", { description: "Mine" })
  await parts.put(id, await zip(pluginFiles("my_extractor")))
  await parts.confirm(id)
  expect(parts.plugins.list(parts.namespace).plugins[0]?.description).toBe("Mine")
})

test("a download is the archive as it was uploaded", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor")
  const download = parts.plugins.download("ns_testtesttest", "my_extractor_1_0_0")
  expect(download).toMatchObject({ filename: "my_extractor_1_0_0.zip", contentType: "application/zip" })
  expect((await Bun.file(download.path).bytes()).byteLength).toBe(download.bytes)
  expect((await refusal(() => parts.plugins.download("ns_elsewhere000", "my_extractor_1_0_0"))).type).toBe(
    "NotFoundError",
  )
})

test.each([undefined, "batch_only"] as const)(
  "a plugin without realtime.py deploys as batch only (%s)",
  async (type) => {
    await using parts = testPlugins()
    await parts.publish("my_extractor")
    expect(parts.plugins.deployForBatches(parts.namespace, "my_extractor_1_0_0", type)).toMatchObject({
      status: "deployed",
      deployment_type: "batch_only",
      message: expect.any(String),
    })
    expect(parts.deployments.status(parts.namespace, "my_extractor_1_0_0")).toMatchObject({
      status: "NOT_DEPLOYED",
      realtime_enabled: false,
      deployed: false,
    })
  },
)

test("a plugin with realtime.py deploys as batch only when asked so; else its endpoint is to be started", async () => {
  await using parts = testPlugins()
  await parts.publish("live_extractor", "1.0.0", WITH_REALTIME)
  const id = "live_extractor_1_0_0"
  expect(parts.plugins.deployForBatches(parts.namespace, id, undefined)).toBeNull()
  expect(parts.plugins.deployForBatches(parts.namespace, id, "realtime")).toBeNull()
  expect(parts.plugins.deployForBatches(parts.namespace, id, "batch_only")?.status).toBe("deployed")
  expect((await refusal(() => parts.deployments.rollback(parts.namespace, id, "somebody"))).type).toBe(
    "BadRequestError",
  )
})

test("realtime cannot be asked of a plugin without a handler", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor")
  const error = await refusal(() => parts.plugins.deployForBatches(parts.namespace, "my_extractor_1_0_0", "realtime"))
  expect(error.type).toBe("BadRequestError")
})

test("undeploying what is not deployed changes nothing and is no error", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor")
  expect(parts.deployments.undeploy(parts.namespace, "my_extractor_1_0_0")).toMatchObject({
    success: true,
    status: "NOT_DEPLOYED",
  })
})

test("no operation finds another namespace's plugin", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor")
  const id = "my_extractor_1_0_0"
  const { plugins, deployments, elsewhere } = parts
  const attempts: (() => unknown)[] = [
    () => plugins.get(elsewhere, id, true),
    () => plugins.deployForBatches(elsewhere, id, "batch_only"),
    () => deployments.deploy(elsewhere, id, "somebody", "rolling"),
    () => deployments.status(elsewhere, id),
    () => deployments.undeploy(elsewhere, id),
    () => deployments.rollback(elsewhere, id, "somebody"),
    () => plugins.remove(elsewhere, id),
    () => parts.extractors.get(elsewhere, id),
  ]
  for (const attempt of attempts) expect((await refusal(attempt)).type).toBe("NotFoundError")
  expect(parts.registry.get(elsewhere, id)).toBeNull()
})

test("a plugin is listed as an extractor with what a collection needs to know", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor")
  const all = parts.extractors.list(parts.namespace, "all")
  expect(all).toMatchObject({ total: 1, builtin_count: 0, custom_count: 1, namespace_id: "ns_testtesttest" })
  const [extractor] = all.extractors
  expect(extractor).toMatchObject({
    feature_extractor_name: "my_extractor",
    feature_extractor_id: "my_extractor_1_0_0",
    source: "custom",
    default_parameters: { threshold: 0.5 },
    required_vector_indexes: [
      {
        name: "an_embedding",
        feature_uri: "mixpeek://my_extractor@1.0.0/an_embedding",
        type: "single",
        index: { dimensions: 4, type: "dense", distance: "cosine" },
      },
    ],
  })
  expect(extractor && parts.extractors.get(parts.namespace, "my_extractor_1_0_0")).toEqual(extractor)
  expect(parts.extractors.list(parts.namespace, "builtin").total).toBe(0)
  expect(parts.extractors.list(parts.namespace, "custom").total).toBe(1)
})
