/** What of the plugins answers in realtime, as the API tells and changes it; `rollout.ts` carries it out. */
import type {
  DeploymentStrategy,
  PluginDeployment,
  PluginLogLine,
  PluginRevision,
  PluginStatus,
  PluginUndeployed,
} from "../contract/plugins.ts"
import { ApplianceError, notFound } from "../errors.ts"
import { featureUri } from "../identifiers.ts"
import type { DeploymentRow } from "../metadata/deployments.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PluginRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { DeploymentLogs } from "./deployment-logs.ts"
import type { RunningRevision } from "./revision.ts"
import type { Rollouts } from "./rollout.ts"
import type { Shadow } from "./shadow.ts"

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  rollouts: Pick<
    Rollouts,
    "enqueue" | "answering" | "position" | "estimate" | "takeDown" | "shadow" | "shadowed" | "shadowsOf"
  >
  logs: Pick<DeploymentLogs, "read" | "forget">
  now: () => Date
}

export function deployments({ metadata, rollouts, logs, now }: Deps) {
  const findPlugin = (namespace: Namespace, pluginId: string): PluginRow => {
    const row = metadata.read.plugins.get(namespace.namespaceId, pluginId)
    if (row === undefined) throw notFound("plugin", pluginId)
    return row
  }

  const rowOf = ({ namespace_id: namespaceId, plugin_id: id }: PluginRow) =>
    metadata.read.deployments.get(namespaceId, id)

  /** Why nothing answers, and what to do. */
  const notAnswering = ({ namespaceId }: Namespace, plugin: PluginRow): ApplianceError => {
    const { plugin_id: id, has_realtime: hasRealtime } = plugin
    const row = rowOf(plugin)
    if (isStarting(row)) {
      return new ApplianceError("InferenceServiceUnavailableError", `${id} is being deployed.`, {
        details: { status: row?.status, retry_after_seconds: 2 },
        headers: { "Retry-After": "2" },
      })
    }
    const next =
      hasRealtime === 1
        ? `deploy it first: POST /v1/namespaces/${namespaceId}/plugins/${id}/deploy`
        : "without a realtime.py it works in collections only"
    return new ApplianceError("BadRequestError", `${id} is not deployed; ${next}.`, {
      details: { plugin_id: id, status: row?.status ?? "NOT_DEPLOYED" },
    })
  }

  const describe = (
    namespace: Namespace,
    plugin: PluginRow,
    row: DeploymentRow,
    message: string,
  ): PluginDeployment => ({
    success: true,
    plugin_id: plugin.plugin_id,
    namespace_id: namespace.namespaceId,
    status: "queued",
    deployment_type: "realtime",
    message,
    feature_uri: featureUri(plugin.name, plugin.version),
    realtime_available: true,
    route_prefix: routePrefix(namespace.namespaceId, plugin.plugin_id),
    deployment_name: deploymentName(namespace.namespaceId, plugin.plugin_id),
    queue_position: rollouts.position(row.rollout_revision_id),
    estimated_completion_seconds: rollouts.estimate(),
    status_endpoint: `/v1/namespaces/${namespace.namespaceId}/plugins/${plugin.plugin_id}/status`,
  })

  return {
    /** @throws NotFoundError, BadRequestError for a plugin without realtime.py, or a shadow of nothing */
    deploy(namespace: Namespace, pluginId: string, by: string, strategy: DeploymentStrategy): PluginDeployment {
      const plugin = findPlugin(namespace, pluginId)
      if (strategy === "shadow" && rollouts.shadowed(namespace.namespaceId, plugin) === undefined) {
        throw new ApplianceError(
          "BadRequestError",
          `Nothing answers for '${plugin.name}' yet; deploy it without a shadow.`,
        )
      }
      const row = rollouts.enqueue(namespace, plugin, by, strategy === "rolling" ? "deploy" : strategy)
      return describe(namespace, plugin, row, "Plugin queued for deployment. Will start within 30 seconds.")
    },

    /**
     * The version before, when the name answered with another one, at once; else the same code in new workers.
     * @throws NotFoundError, BadRequestError when nothing was deployed before
     */
    rollback(namespace: Namespace, pluginId: string, by: string): PluginDeployment {
      const plugin = findPlugin(namespace, pluginId)
      const row = metadata.read.deployments.get(namespace.namespaceId, pluginId)
      const alias = metadata.read.deployments.alias(namespace.namespaceId, plugin.name)
      const previous = alias?.plugin_id === pluginId ? alias.previous_plugin_id : null
      if (previous !== null && rollouts.answering(namespace.namespaceId, previous) !== undefined && row !== undefined) {
        metadata.transact((tx) =>
          tx.write.deployments.putAlias({
            namespace_id: namespace.namespaceId,
            name: plugin.name,
            plugin_id: previous,
            previous_plugin_id: pluginId,
            updated_at: now().toISOString(),
          }),
        )
        return {
          ...describe(namespace, plugin, row, `'${plugin.name}' answers with ${previous} again.`),
          status: "deployed",
        }
      }
      if (row === undefined || (row.previous_revision_id === null && row.live_revision_id === null)) {
        throw new ApplianceError("BadRequestError", `${pluginId} has no earlier revision to go back to.`)
      }
      return describe(
        namespace,
        plugin,
        rollouts.enqueue(namespace, plugin, by, "rollback"),
        "Plugin queued for rollback. Will start within 30 seconds.",
      )
    },

    status(namespace: Namespace, pluginId: string): PluginStatus {
      const plugin = findPlugin(namespace, pluginId)
      const row = metadata.read.deployments.get(namespace.namespaceId, pluginId)
      const deployed = row?.live_revision_id != null
      const moving = row !== undefined && ["QUEUED", "PENDING", "IN_PROGRESS"].includes(row.status)
      const status = row?.status ?? "NOT_DEPLOYED"
      return {
        plugin_id: pluginId,
        namespace_id: namespace.namespaceId,
        status,
        name: plugin.name,
        version: plugin.version,
        realtime_enabled: plugin.has_realtime === 1,
        deployed,
        message: rollouts.shadow(namespace.namespaceId, pluginId) === undefined ? messageOf(status, plugin) : IN_SHADOW,
        feature_uri: featureUri(plugin.name, plugin.version),
        route_prefix: plugin.has_realtime === 1 ? routePrefix(namespace.namespaceId, pluginId) : null,
        queued_at: row?.queued_at ?? null,
        estimated_completion_seconds: moving ? rollouts.estimate() : null,
        deployed_at: row?.deployed_at ?? null,
        error: row?.error ?? null,
        health: healthOf(rollouts.answering(namespace.namespaceId, pluginId)),
        shadow: rollouts.shadow(namespace.namespaceId, pluginId)?.report() ?? null,
      }
    },

    /** Who, when and why, newest first. */
    revisions(namespace: Namespace, pluginId: string): PluginRevision[] {
      findPlugin(namespace, pluginId)
      return metadata.read.deployments.history(namespace.namespaceId, pluginId).map((row) => ({
        revision_id: row.revision_id,
        state: row.state,
        reason: row.reason,
        created_by: row.created_by,
        code_hash: row.code_hash,
        environment_hash: row.environment_hash,
        error: row.error,
        isolation: row.isolation,
        created_at: row.created_at,
        live_at: row.live_at,
        ended_at: row.ended_at,
      }))
    },

    logs(namespace: Namespace, pluginId: string, wanted: { requestId?: string; limit: number }): PluginLogLine[] {
      findPlugin(namespace, pluginId)
      return logs.read(namespace.namespaceId, pluginId, wanted)
    },

    /** Plugin ids of the namespace that answer now. */
    deployed: (namespaceId: string) => new Set(metadata.read.deployments.live(namespaceId)),

    undeploy(namespace: Namespace, pluginId: string): PluginUndeployed {
      findPlugin(namespace, pluginId)
      rollouts.takeDown(namespace.namespaceId, pluginId, false)
      return {
        success: true,
        plugin_id: pluginId,
        namespace_id: namespace.namespaceId,
        status: "NOT_DEPLOYED",
        deployed: false,
        message: "The plugin does not answer in realtime any more; it still works in collections.",
      }
    },

    /** The plugin is being deleted. True when something answered until now. */
    forget(namespaceId: string, pluginId: string): boolean {
      logs.forget(namespaceId, pluginId)
      return rollouts.takeDown(namespaceId, pluginId, true)
    },

    eraseNamespace(namespaceId: string): void {
      for (const row of metadata.read.deployments.all()) {
        if (row.namespace_id !== namespaceId) continue
        logs.forget(namespaceId, row.plugin_id)
        rollouts.takeDown(namespaceId, row.plugin_id, true)
      }
      metadata.transact((tx) => tx.write.deployments.erase(namespaceId))
    },

    /**
     * What answers for a plugin id now. @throws NotFoundError; InferenceServiceUnavailableError while a rollout is under way and
     * nothing answers; BadRequestError when nothing does and none is
     */
    answering(namespace: Namespace, pluginId: string): RunningRevision {
      const running = rollouts.answering(namespace.namespaceId, pluginId)
      if (running !== undefined) return running
      throw notAnswering(namespace, findPlugin(namespace, pluginId))
    },

    serves: (namespaceId: string, pluginId: string): boolean => rollouts.answering(namespaceId, pluginId) !== undefined,

    /** What gets copies of what this revision is asked. */
    shadowsOf: (running: RunningRevision): readonly Shadow[] => rollouts.shadowsOf(running),

    /** The plugin id that a name answers with. @throws NotFoundError for an unknown name, else as `answering` does */
    aliased(namespace: Namespace, name: string): string {
      const alias = metadata.read.deployments.alias(namespace.namespaceId, name)
      if (alias !== undefined) return alias.plugin_id
      const versions = metadata.read.plugins.list(namespace.namespaceId).filter((plugin) => plugin.name === name)
      // The first that was ever deployed is waited for; without one the newest could be.
      const meant = versions.find((plugin) => isStarting(rowOf(plugin))) ?? versions.at(-1)
      if (meant === undefined) throw notFound("deployment", name)
      throw notAnswering(namespace, meant)
    },
  }
}

export type Deployments = ReturnType<typeof deployments>

function isStarting(row: DeploymentRow | undefined): boolean {
  return row?.rollout_revision_id != null
}

function healthOf(running: RunningRevision | undefined): PluginStatus["health"] {
  if (running === undefined) return null
  const { requests, errors, restarts, lastAnswerAt } = running.measured
  return {
    condition: running.condition,
    replicas: running.workers.length,
    in_flight: running.inFlight,
    requests,
    errors,
    restarts,
    memory_bytes: running.memoryBytes,
    queue_delay_ms: running.measured.queueDelay(),
    latency_ms: running.measured.latency(),
    last_answer_at: lastAnswerAt?.toISOString() ?? null,
  }
}

const IN_SHADOW =
  "The new revision gets copies of live requests; 'shadow' tells what differs. Deploy again to let it take over, or undeploy it."

const MESSAGES: Record<PluginStatus["status"], string> = {
  QUEUED: "Waiting for its turn to be deployed.",
  PENDING: "The deployment is starting.",
  IN_PROGRESS: "The new revision starts beside what serves now.",
  DEPLOYED: "The plugin answers realtime requests.",
  FAILED: "The last rollout failed; see 'error'.",
  NOT_DEPLOYED: "Batch only: the plugin works in collections and has no realtime endpoint.",
}
const COULD_BE_DEPLOYED = "The plugin works in collections; POST …/deploy starts its realtime endpoint."

function messageOf(status: PluginStatus["status"], plugin: PluginRow): string {
  return status === "NOT_DEPLOYED" && plugin.has_realtime === 1 ? COULD_BE_DEPLOYED : MESSAGES[status]
}

/** The seed's: with the namespace in it, so that two tenants' plugins of one id do not meet. */
export function deploymentName(namespaceId: string, pluginId: string): string {
  return `custom_plugin_${namespaceId}_${pluginId}`
}

/** What `deploymentName` names; ids of namespaces hold no underscore but the one of their kind. */
export function parseDeploymentName(name: string): { namespaceId: string; pluginId: string } | null {
  const [, namespaceId, pluginId] = /^custom_plugin_(ns_[A-Za-z0-9]+)_(.+)$/.exec(name) ?? []
  return namespaceId === undefined || pluginId === undefined ? null : { namespaceId, pluginId }
}

export function routePrefix(namespaceId: string, pluginId: string): string {
  return `/inference/${deploymentName(namespaceId, pluginId)}`
}
