import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { mixpeek, PROCESSES_MS, preparedData, temporaryDirectory } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

let appliance: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance()
})
afterAll(() => appliance[Symbol.asyncDispose]())

/** A new text plugin under a name of its own; without realtime.py it is batch only. */
async function newPlugin(name: string, options: { realtime?: boolean } = {}) {
  const directory = await temporaryDirectory()
  await mixpeek(["plugin", "init", name, "--output", directory.path])
  const path = join(directory.path, name)
  if (options.realtime !== true) {
    await rm(join(path, "realtime.py"))
    await rm(join(path, "tests"), { recursive: true })
  }
  return { path, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() }
}

async function publish(path: string, ...args: string[]) {
  return mixpeek(["plugin", "publish", "--path", path, "--data", await preparedData(), ...args], {
    environment: { MIXPEEK_API_KEY: appliance.adminKey, MIXPEEK_BASE_URL: appliance.url, MIXPEEK_NAMESPACE: "default" },
  })
}

async function list(...args: string[]) {
  return mixpeek([
    "plugin",
    "list",
    "--api-key",
    appliance.adminKey,
    "--base-url",
    appliance.url,
    "--namespace",
    "default",
    ...args,
  ])
}

test("a plugin is uploaded, confirmed and deployed; id, URI, both states and the use in a collection are printed", async () => {
  await using plugin = await newPlugin("batch_only")
  const { code, stdout, stderr } = await publish(plugin.path)
  expect(stderr).toBe("")
  expect(stdout).toContain("batch_only_1_0_0")
  expect(stdout).toContain("mixpeek://batch_only@1.0.0")
  expect(stdout).toMatch(/Validation +passed/)
  expect(stdout).toMatch(/Deployment +deployed/)
  expect(stdout).toContain('"feature_extractor":{"feature_extractor_name":"batch_only","version":"1.0.0"')
  expect(stdout).toContain('"input_mappings":{"text":"text"}')
  expect(stdout).toContain("/v1/collections/batch_only_collection/trigger")
  expect(code).toBe(0)
  const listed = await appliance.call("GET", "/v1/namespaces/default/plugins/batch_only_1_0_0")
  expect(listed.body.plugin.description).toBe("Extracts features from text (batch_only)")
})

test("a base URL that ends in /v1 means the same", async () => {
  await using plugin = await newPlugin("slashed")
  expect((await publish(plugin.path, "--base-url", `${appliance.url}/v1/`)).code).toBe(0)
})

test("a plugin with realtime.py is followed until it answers", async () => {
  await using plugin = await newPlugin("with_realtime", { realtime: true })
  const { code, stdout } = await publish(plugin.path)
  expect(stdout).toContain("Plugin queued for deployment")
  expect(stdout).toMatch(/Deployment +DEPLOYED/)
  expect(code).toBe(0)
  const asked = await appliance.call("POST", "/v1/inference/custom/with_realtime", {
    body: { text: "a text" },
    namespace: "default",
  })
  expect(asked.status).toBe(200)
})

test("--json gives one document with what was published", async () => {
  await using plugin = await newPlugin("as_json")
  const { code, stdout } = await publish(plugin.path, "--json", "--description", "of my own")
  expect(JSON.parse(stdout)).toMatchObject({
    success: true,
    dry_run: false,
    plugin_id: "as_json_1_0_0",
    feature_uri: "mixpeek://as_json@1.0.0",
    validation_status: "passed",
    deployment_status: "deployed",
  })
  expect(code).toBe(0)
  const listed = await appliance.call("GET", "/v1/namespaces/default/plugins/as_json_1_0_0")
  expect(listed.body.plugin.description).toBe("of my own")
})

test("--no-deploy uploads and confirms only", async () => {
  await using plugin = await newPlugin("kept_back")
  const { code, stdout } = await publish(plugin.path, "--no-deploy")
  expect(stdout).toMatch(/Deployment +not_deployed/)
  expect(code).toBe(0)
})

test("--dry-run checks and packs, needs no key and sends nothing", async () => {
  await using plugin = await newPlugin("never_sent")
  const { code, stdout } = await mixpeek([
    "plugin",
    "publish",
    "--dry-run",
    "--path",
    plugin.path,
    "--data",
    await preparedData(),
  ])
  expect(stdout).toContain("✓ Archive")
  expect(stdout).toContain("nothing was sent")
  expect(code).toBe(0)
  expect((await list("--source", "custom")).stdout).not.toContain("never_sent")
})

test("a version that is there already is refused with advice", async () => {
  await using plugin = await newPlugin("twice")
  expect((await publish(plugin.path)).code).toBe(0)
  const { code, stderr } = await publish(plugin.path)
  expect(stderr).toContain("Raise 'version' in manifest.py (now 1.0.0)")
  expect(code).toBe(1)
})

test("a package that the server's wheel store lacks is named with the way to bring it", async () => {
  await using plugin = await newPlugin("lacks_a_wheel")
  await writeFile(join(plugin.path, "requirements.txt"), "no-such-wheel-anywhere>=1\n")
  const { code, stderr } = await publish(plugin.path)
  expect(stderr).toContain("no-such-wheel-anywhere >=1")
  expect(stderr).toContain("mixpeek wheels add")
  expect(code).toBe(1)
})

test("a forbidden import stops it here: a table with the source line, and nothing is sent", async () => {
  await using plugin = await newPlugin("forbidden")
  await writeFile(join(plugin.path, "helper.py"), "\nimport subprocess  # for the shell\n")
  const { code, stdout } = await publish(plugin.path)
  expect(stdout).toMatch(/helper\.py:2:0 +error +Forbidden import: subprocess +import subprocess {2}# for the shell/)
  expect(code).toBe(1)
  expect((await list("--source", "custom")).stdout).not.toContain("forbidden")
})

test("what only the server refuses is shown the same way", async () => {
  await using strict = await startTestAppliance({ arguments: ["--strict-scan"] })
  await using plugin = await newPlugin("frowned_upon")
  await writeFile(join(plugin.path, "helper.py"), "\nimport pickle\n")
  const { code, stdout, stderr } = await publish(plugin.path, "--base-url", strict.url, "--api-key", strict.adminKey)
  expect(stderr).toContain("Security scan failed")
  expect(stdout).toMatch(/helper\.py:2:0 .* import pickle/)
  expect(code).toBe(1)
})

test("a wrong key and an unknown namespace are told in the server's words", async () => {
  await using plugin = await newPlugin("refused")
  const unauthorized = await publish(plugin.path, "--api-key", "sk_wrong")
  expect(unauthorized.stderr).toContain("API key is unknown")
  expect(unauthorized.code).toBe(1)
  const lost = await publish(plugin.path, "--namespace", "elsewhere")
  expect(lost.stderr).toContain("namespace 'elsewhere' was not found")
  expect(lost.code).toBe(1)
})

test("key and address may stand before the command", async () => {
  const { code } = await mixpeek([
    "--api-key",
    appliance.adminKey,
    "--base-url",
    appliance.url,
    "plugin",
    "list",
    "--namespace",
    "default",
  ])
  expect(code).toBe(0)
})

test("a server that does not run is named", async () => {
  const { code, stderr } = await list("--base-url", "http://127.0.0.1:9")
  expect(stderr).toContain("Cannot reach http://127.0.0.1:9")
  expect(stderr).toContain("Is 'mixpeek serve' running there?")
  expect(code).toBe(1)
})

test("list shows own plugins by --source custom, and none by --source community", async () => {
  await using plugin = await newPlugin("listed_one")
  await publish(plugin.path)
  const custom = await list("--source", "custom")
  expect(custom.stdout).toMatch(
    /listed_one_1_0_0 +listed_one +1\.0\.0 +custom +passed +\w+ +mixpeek:\/\/listed_one@1\.0\.0/,
  )
  expect(custom.code).toBe(0)
  const all = JSON.parse((await list("--json")).stdout)
  expect(all.extractors.map((extractor: { id: string }) => extractor.id)).toContain("listed_one_1_0_0")
  const builtin = JSON.parse((await list("--source", "builtin", "--json")).stdout)
  expect(builtin.extractors.map((extractor: { source: string }) => extractor.source)).not.toContain("custom")
  const community = await list("--source", "community")
  expect(community.stdout).toContain("No community extractors")
  expect(community.code).toBe(0)
})

test("the documented order of commands works: init, test, publish, list", async () => {
  await using directory = await temporaryDirectory()
  const environment = {
    MIXPEEK_API_KEY: appliance.adminKey,
    MIXPEEK_BASE_URL: appliance.url,
    MIXPEEK_DATA: await preparedData(),
  }
  const cwd = join(directory.path, "my_extractor")
  const run = (args: string[], where: string) => mixpeek(["plugin", ...args], { cwd: where, environment })
  expect((await run(["init", "my_extractor", "--category", "text"], directory.path)).code).toBe(0)
  expect((await run(["test"], cwd)).code).toBe(0)
  expect((await run(["publish", "--namespace", appliance.namespaceId], cwd)).code).toBe(0)
  const { stdout } = await run(["list", "--source", "custom", "--namespace", appliance.namespaceId], cwd)
  expect(stdout).toContain("my_extractor_1_0_0")
})
