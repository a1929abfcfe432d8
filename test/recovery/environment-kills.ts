/** SIGKILL of the appliance at random points of a confirmation that builds an environment. */
import { randomInt } from "node:crypto"
import { readdirSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { textPlugin, zip } from "../support/plugins.ts"
import { writeWheel } from "../workers/environments/wheel.ts"

/** Enough for the installation, the compilation and the sync to take their time each. */
const MODULES = 400

/**
 * Each round: a lock that is new, a kill within the time that an undisturbed build takes, a start that must leave
 * nothing behind, and the same confirmation again, which must pass.
 * @throws Error for the first round in which any of that is not so
 */
export async function killBuilds(kills: number, say: (line: string) => void): Promise<void> {
  await using appliance = await startTestAppliance({ ownEnvironments: true, arguments: ["--log-level", "warn"] })
  const store = join(appliance.dataDir, "wheels")
  await mkdir(store, { recursive: true })

  const { confirm: first } = await reserved(appliance, store, 0)
  const undisturbedAnswer = first()
  await buildBegins(appliance)
  const started = performance.now()
  const answer = await undisturbedAnswer
  const undisturbed = Math.round(performance.now() - started)
  if (answer?.status !== 200) throw new Error(`the undisturbed confirmation failed: ${answer?.text}`)
  say(`undisturbed, a build takes ${undisturbed} ms`)

  for (let round = 1; round <= kills; round++) {
    const { confirm, id } = await reserved(appliance, store, round)
    const after = randomInt(undisturbed)
    const pending = confirm()
    await buildBegins(appliance)
    await Bun.sleep(after)
    const during = partials(appliance)
    await appliance.kill()
    await pending
    await appliance.start()
    const left = partials(appliance)
    if (left.length > 0) throw new Error(`after a kill at ${after} ms the next start left ${left.join(", ")}`)
    const again = await confirm()
    if (again?.status !== 200) throw new Error(`after a kill at ${after} ms: ${again?.status} ${again?.text}`)
    const { body } = await appliance.call("GET", `/v1/namespaces/${appliance.namespaceId}/plugins/${id}`)
    const environment = join(appliance.dataDir, "environments", body.plugin.environment.hash)
    const modules = readdirSync(join(environment, "site-packages")).filter((name) => name.endsWith(".py"))
    if (modules.length !== MODULES) throw new Error(`the environment has ${modules.length} modules of ${MODULES}`)
    say(`kill ${round} after ${after} ms (${during.join(", ") || "it had just ended"}): clean, and confirmed again`)
  }
}

const buildBegins = (appliance: TestAppliance) =>
  eventually(async () => partials(appliance).some((name) => name.endsWith(".partial")) || null, 60_000)

const partials = ({ dataDir }: TestAppliance) =>
  readdirSync(join(dataDir, "environments")).filter((name) => !/^[0-9a-f]{32}$/.test(name))

/** A plugin that needs a package of its own, uploaded; `confirm` answers null when the appliance went away. */
async function reserved(appliance: TestAppliance, store: string, round: number) {
  const version = `1.${round}`
  const sources = Object.fromEntries(
    Array.from({ length: MODULES - 1 }, (_, index) => [`sample_part_${index}.py`, `VALUE = [${"1, ".repeat(200)}]\n`]),
  )
  await writeWheel(store, { name: "sample_bulk", version, files: sources })
  const name = `bulk_${round}`
  const plugins = `/v1/namespaces/${appliance.namespaceId}/plugins`
  const { body } = await appliance.call("POST", `${plugins}/uploads`, { body: { name, version: "1.0.0" } })
  const files = textPlugin({ name, manifestExtra: `dependencies = ["sample-bulk==${version}"]` })
  await appliance.call("PUT", body.presigned_url, { key: null, raw: await zip(files) })
  return {
    id: `${name}_1_0_0`,
    confirm: () => appliance.call("POST", `${plugins}/uploads/${body.upload_id}/confirm`).catch(() => null),
  }
}
