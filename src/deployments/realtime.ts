/** The parts of realtime, joined: what rolls out, what the API tells of it, and what answers. */
import { deploymentLogs } from "./deployment-logs.ts"
import { deployments } from "./deployments.ts"
import { endpoint } from "./endpoint.ts"
import { revisionStart } from "./revision-start.ts"
import { rollouts } from "./rollout.ts"

type Deps = Omit<Parameters<typeof rollouts>[0], "revision"> &
  Omit<Parameters<typeof revisionStart>[0], "logs"> & { deadlineMs: number }

/** Nothing answers before `recover` of its rollouts was called. */
export function realtime(deps: Deps) {
  const { metadata } = deps
  const logs = deploymentLogs(deps.now)
  const rolling = rollouts({ ...deps, revision: revisionStart({ ...deps, logs }) })
  const serving = deployments({ ...deps, rollouts: rolling, logs })
  return {
    rollouts: rolling,
    deployments: serving,
    endpoint: endpoint({
      deployments: serving,
      registered: ({ namespaceId }, id) => metadata.read.plugins.get(namespaceId, id) !== undefined,
      deadlineMs: deps.deadlineMs,
    }),
    [Symbol.asyncDispose]: rolling[Symbol.asyncDispose],
  }
}
