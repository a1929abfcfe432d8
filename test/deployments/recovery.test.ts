/** kill -9 in every state of a deployment: what was live is live, what was under way goes on, no worker is left. */
import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { descendants, runs } from "../support/processes.ts"
import { deployed, pluginRoute, published, settled } from "./support.ts"

const BLUE =
  'import os\nclass RealtimeHandler:\n    def predict(self, request):\n        return {"live": os.getpid() > 0}\n'
const SLOW = `import time
class RealtimeHandler:
    def __init__(self):
        time.sleep(1.5)
    def predict(self, request):
        return {"pid": 0}
`
const FAILING = 'class RealtimeHandler:\n    def __init__(self):\n        raise RuntimeError("no weights")\n'

const prefix = (appliance: TestAppliance, id: string) => `/inference/custom_plugin_${appliance.namespaceId}_${id}`
const deploy = (appliance: TestAppliance, id: string) => appliance.call("POST", `${pluginRoute(appliance, id)}/deploy`)
const status = async (appliance: TestAppliance, id: string) =>
  (await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)).body
const reaches = (appliance: TestAppliance, id: string, state: string) =>
  eventually(async () => ((await status(appliance, id)).status === state ? true : null), 30_000)

const untilInProgress = async (appliance: TestAppliance, id: string) => {
  await deploy(appliance, id)
  await reaches(appliance, id, "IN_PROGRESS")
}

interface Case {
  readonly state: string
  /** Brings the plugin into the state, before the kill. */
  readonly reach: (appliance: TestAppliance, id: string) => Promise<unknown>
  /** Between the kill and the start: a state that lasts no longer than one turn is written where it is kept. */
  readonly whileDead?: (database: Database, id: string) => void
  readonly handler: string
  readonly outcome: { readonly status: string; readonly deployed: boolean }
}

const CASES: readonly Case[] = [
  { state: "NOT_DEPLOYED", reach: async () => {}, handler: BLUE, outcome: { status: "NOT_DEPLOYED", deployed: false } },
  {
    state: "QUEUED",
    handler: BLUE,
    // Two others take the places of the rollouts that may run at once.
    async reach(appliance, id) {
      for (const name of ["first_slow", "second_slow"]) await deploy(appliance, await published(appliance, name, SLOW))
      await deploy(appliance, id)
      expect((await status(appliance, id)).status).toBe("QUEUED")
    },
    outcome: { status: "DEPLOYED", deployed: true },
  },
  {
    state: "PENDING",
    handler: SLOW,
    reach: untilInProgress,
    whileDead(database, id) {
      database.run("UPDATE deployments SET status = 'PENDING' WHERE plugin_id = ?", [id])
      database.run("UPDATE revisions SET state = 'PENDING' WHERE plugin_id = ? AND state = 'IN_PROGRESS'", [id])
    },
    outcome: { status: "DEPLOYED", deployed: true },
  },
  {
    state: "IN_PROGRESS",
    handler: SLOW,
    reach: untilInProgress,
    outcome: { status: "DEPLOYED", deployed: true },
  },
  { state: "DEPLOYED", reach: deployed, handler: BLUE, outcome: { status: "DEPLOYED", deployed: true } },
  { state: "FAILED", reach: deployed, handler: FAILING, outcome: { status: "FAILED", deployed: false } },
]

test.each(CASES.map((one) => [one.state, one] as const))(
  "kill -9 in %s recovers, and what was live beside it answers",
  async (_, { reach, whileDead, handler, outcome }) => {
    await using appliance = await startTestAppliance()
    const blue = await published(appliance, "blue", BLUE)
    await deployed(appliance, blue)
    const ask = (id: string) => appliance.call("POST", prefix(appliance, id), { body: { text: "x" } })
    expect(await ask(blue)).toMatchObject({ status: 200, body: { live: true } })
    const id = await published(appliance, "watched", handler)
    await reach(appliance, id)
    const before = descendants(appliance.pid)
    expect(before.length).toBeGreaterThan(2)
    await appliance.kill()
    if (whileDead !== undefined) {
      const database = new Database(join(appliance.dataDir, "metadata.sqlite"))
      whileDead(database, id)
      database.close()
    }
    await appliance.start()
    expect(before.filter(runs)).toEqual([])
    const again = await ask(blue)
    expect(again).toMatchObject({ status: 200, body: { live: true } })
    expect(await settled(appliance, id)).toMatchObject(outcome)
    expect((await ask(id)).status).toBe(outcome.deployed ? 200 : 400)
  },
  60_000,
)
