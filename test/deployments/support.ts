import { eventually, type TestAppliance } from "../support/appliance.ts"
import { type PluginFiles, textPlugin, upload } from "../support/plugins.ts"

/** The seed's form: a class RealtimeHandler with predict(request). */
export const SEED_HANDLER = `class RealtimeHandler:
    def __init__(self):
        self.calls = 0

    def predict(self, request):
        self.calls += 1
        text = request["text"]
        return {"embedding": [float(len(text)), 0.5], "label": "long" if len(text) > 5 else "short", "calls": self.calls}
`

export function realtimePlugin(name: string, handler: string, { version = "1.0.0" } = {}): PluginFiles {
  return { ...textPlugin({ name, version }), "realtime.py": handler }
}

/** Publishes it and answers its id. */
export async function published(
  appliance: TestAppliance,
  name: string,
  handler: string,
  version = "1.0.0",
): Promise<string> {
  const answer = await upload(appliance, realtimePlugin(name, handler, { version }), { name, version })
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.body.plugin_id
}

export const pluginRoute = (appliance: TestAppliance, id: string) =>
  `/v1/namespaces/${appliance.namespaceId}/plugins/${id}`

/** Deploys and waits for the rollout's end; answers the status. */
export async function deployed(appliance: TestAppliance, id: string) {
  const answer = await appliance.call("POST", `${pluginRoute(appliance, id)}/deploy`)
  if (answer.status !== 200) throw new Error(answer.text)
  return settled(appliance, id)
}

export async function settled(appliance: TestAppliance, id: string) {
  return eventually(async () => {
    const { body } = await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)
    return ["DEPLOYED", "FAILED", "NOT_DEPLOYED"].includes(body.status) ? body : null
  }, 60_000)
}
