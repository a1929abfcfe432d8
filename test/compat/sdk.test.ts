/** The published Python SDK, unchanged, against a real appliance; `sdk_session.py` does the talking. */
import { beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { join, resolve } from "node:path"
import { startTestAppliance } from "../support/appliance.ts"
import { published } from "../support/plugins.ts"

const VERSION = "1.3.783"
const SDK = resolve(import.meta.dir, `../../dist/sdk-${VERSION}`)

/** Raises on the session's `unreadable` text, so that a batch has a row that fails. */
const CALL = `texts = batch["text"].fillna("").tolist()
if "unreadable" in texts:
    raise ValueError("unreadable text")
batch["my_extractor_embedding"] = [[float(len(t) % 7 + 1)] * 4 for t in texts]
batch["label"] = ["long" if len(t) > self.config.threshold * 20 else "short" for t in texts]
return batch`

beforeAll(installSdk, 180_000)

test("the unchanged Python SDK reads every served answer whole and raises its own class for every refusal", async () => {
  await using appliance = await startTestAppliance()
  await published(appliance, { name: "my_extractor", call: CALL })
  await published(appliance, { name: "my_unready_extractor", call: "import sentence_transformers\nreturn batch" })
  const session = Bun.spawn(
    [
      "python3",
      "-B",
      join(import.meta.dir, "sdk_session.py"),
      appliance.url,
      appliance.adminKey,
      appliance.namespaceId,
      "my_extractor",
      "my_unready_extractor",
    ],
    { env: { ...process.env, PYTHONPATH: SDK }, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  )
  const [said, failure] = await Promise.all([new Response(session.stdout).text(), new Response(session.stderr).text()])
  if ((await session.exited) !== 0) throw new Error(`${failure}\nafter:\n${said}`)
  const operations = new Set(said.trim().split("\n"))
  expect(operations.size).toBeGreaterThan(90)
}, 180_000)

/** Once per checkout; by rename, so that half an installation is never taken for one. */
function installSdk(): void {
  if (existsSync(SDK)) return
  const partial = `${SDK}.${crypto.randomUUID()}.partial`
  mkdirSync(partial, { recursive: true })
  const pip = Bun.spawnSync(
    [
      "python3",
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--no-input",
      "--target",
      partial,
      `mixpeek==${VERSION}`,
    ],
    { stderr: "pipe", stdout: "pipe" },
  )
  if (pip.exitCode !== 0) {
    rmSync(partial, { recursive: true, force: true })
    throw new Error(`pip install mixpeek==${VERSION} failed:\n${pip.stderr.toString()}`)
  }
  try {
    renameSync(partial, SDK)
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    if (!existsSync(SDK)) throw error
  }
}
