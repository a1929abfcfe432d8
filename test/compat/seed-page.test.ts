/**
 * The plugins page of the public documentation, command by command: its own manifest, pipeline, core and realtime (only the imports of
 * the downloaded model are replaced), its own curl lines, and the answers it prints.
 */
import { expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { zip } from "../support/plugins.ts"

const PLUGIN = join(import.meta.dir, "my_extractor")

test("the documentation's commands publish, use, deploy and delete the documentation's plugin", async () => {
  await using appliance = await startTestAppliance()
  const directory = mkdtempSync(join(tmpdir(), "mixpeek-seed-"))
  try {
    const archive = join(directory, "my_extractor.zip")
    writeFileSync(archive, await zip(pluginFiles()))
    const authorization = `Authorization: Bearer ${appliance.adminKey}`
    const plugins = `${appliance.url}/v1/namespaces/${appliance.namespaceId}/plugins`

    const json = "Content-Type: application/json"
    const reserve = ["-X", "POST", `${plugins}/uploads`, "-H", authorization, "-H", json]
    const reserved = await curl(...reserve, "-d", '{"name": "my_extractor", "version": "1.0.0"}')
    expect(reserved.status).toBe(200)
    expect(reserved.body.upload_id).toMatch(/^plu_/)
    expect(Date.parse(reserved.body.expires_at)).toBeGreaterThan(Date.now())

    const zipped = ["-H", "Content-Type: application/zip", "--data-binary", `@${archive}`]
    const put = await curl("-X", "PUT", reserved.body.presigned_url, ...zipped)
    expect(put).toMatchObject({ status: 200, body: null })

    const confirm = `${plugins}/uploads/${reserved.body.upload_id}/confirm`
    const confirmed = await curl("-X", "POST", confirm, "-H", authorization)
    expect(confirmed).toMatchObject({
      status: 200,
      body: {
        success: true,
        plugin_id: "my_extractor_1_0_0",
        validation_status: "passed",
        feature_uri: "mixpeek://my_extractor@1.0.0",
      },
    })

    const status = () => curl(`${plugins}/my_extractor_1_0_0/status`, "-H", authorization)
    expect(await status()).toMatchObject({ status: 200, body: { status: "NOT_DEPLOYED" } })
    const deployed = await curl("-X", "POST", `${plugins}/my_extractor_1_0_0/deploy`, "-H", authorization)
    expect(deployed).toMatchObject({
      status: 200,
      body: {
        success: true,
        plugin_id: "my_extractor_1_0_0",
        status: "queued",
        message: "Plugin queued for deployment. Will start within 30 seconds.",
        route_prefix: `/inference/custom_plugin_${appliance.namespaceId}_my_extractor_1_0_0`,
        estimated_completion_seconds: expect.any(Number),
      },
    })
    const serving = await eventually(async () => {
      const { body } = await status()
      if (body.status === "DEPLOYED" || body.status === "FAILED") return body
      expect(["QUEUED", "PENDING", "IN_PROGRESS"]).toContain(body.status)
      return null
    })
    expect(serving).toMatchObject({ status: "DEPLOYED", error: null })
    const prefix = `${appliance.url}${deployed.body.route_prefix}`
    const asked = await curl("-X", "POST", prefix, "-H", authorization, "-H", json, "-d", '{"text": "a longer text"}')
    expect(asked).toMatchObject({ status: 200, body: { label: "positive" } })
    expect(asked.body.embedding).toHaveLength(384)

    expect(await labelsOf(["short", "a text of more than seven letters"])).toEqual(["negative", "positive"])

    const removed = await curl("-X", "DELETE", `${plugins}/my_extractor_1_0_0`, "-H", authorization)
    expect(removed).toMatchObject({ status: 200, body: { success: true, deployment_removed: true } })
    expect((await curl("-X", "POST", prefix, "-H", authorization, "-H", json, "-d", "{}")).status).toBe(404)
    expect((await status()).status).toBe(404)

    /** "After upload, use in collections", with the page's own feature_extractor. */
    async function labelsOf(texts: string[]): Promise<string[]> {
      const bucket = await appliance.call("POST", "/v1/buckets", {
        body: { bucket_name: "texts", bucket_schema: { properties: { text: { type: "text" } } } },
      })
      const bucketId: string = bucket.body.bucket_id
      const objects = texts.map((data) => ({ blobs: [{ property: "text", type: "text", data }] }))
      await appliance.call("POST", `/v1/buckets/${bucketId}/objects/batch`, { body: { objects } })
      const collection = await appliance.call("POST", "/v1/collections", {
        body: {
          collection_name: "my_collection",
          source: { type: "bucket", bucket_ids: [bucketId] },
          feature_extractor: {
            feature_extractor_name: "my_extractor",
            version: "1.0.0",
            parameters: { threshold: 0.7 },
          },
        },
      })
      const path = `/v1/collections/${collection.body.collection_id}`
      const started = await appliance.call("POST", `${path}/trigger`)
      expect((await waitForBatch(appliance, bucketId, started.body.batch_id)).status).toBe("COMPLETED")
      const listed = await appliance.call("POST", `${path}/documents/list`, { body: { return_vectors: true } })
      for (const document of listed.body.results) expect(document.my_extractor_embedding).toHaveLength(384)
      return listed.body.results.map((document: { label: string }) => document.label).sort()
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 600_000)

function pluginFiles(): Record<string, string> {
  const paths = readdirSync(PLUGIN, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".py"))
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(PLUGIN, path), "utf8")]))
}

/** The real curl, or fetch on a machine that has none. */
async function curl(...line: string[]) {
  const { status, text } = Bun.which("curl") === null ? await fetched(line) : await curled(line)
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire says and asserts on it
  const body: any = text === "" ? null : JSON.parse(text)
  return { status, body }
}

async function curled(line: string[]): Promise<{ status: number; text: string }> {
  const child = Bun.spawn(["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", ...line], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(error)
  const end = out.lastIndexOf("\n")
  return { status: Number(out.slice(end + 1)), text: out.slice(0, end) }
}

async function fetched(line: string[]): Promise<{ status: number; text: string }> {
  const headers = new Headers()
  let method = "GET"
  let url = ""
  let body: string | Blob | undefined
  for (let at = 0; at < line.length; at++) {
    const word = line[at] ?? ""
    if (!word.startsWith("-")) url = word
    else {
      const value = line[++at] ?? ""
      if (word === "-X") method = value
      else if (word === "-H")
        headers.set(value.slice(0, value.indexOf(":")), value.slice(value.indexOf(":") + 1).trim())
      else body = value.startsWith("@") ? Bun.file(value.slice(1)) : value
    }
  }
  const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) })
  return { status: answer.status, text: await answer.text() }
}
