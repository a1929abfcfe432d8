/**
 * What the rows say of a deployment and its revisions: every change of state is one transaction, by one table. `rollout.ts` carries
 * out what they say, and begins again by the same table after a kill.
 */
import { newId } from "../identifiers.ts"
import type { DeploymentRow, RevisionRow, RevisionState } from "../metadata/deployments.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import { environmentHash, type PluginRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { Worker } from "../workers/worker.ts"

/** What may follow. A rollout that a kill cut off is queued again; what answers only drains. */
export const NEXT: Readonly<Record<RevisionState, readonly RevisionState[]>> = {
  QUEUED: ["QUEUED", "PENDING", "CANCELED"],
  PENDING: ["QUEUED", "IN_PROGRESS", "FAILED", "CANCELED"],
  IN_PROGRESS: ["QUEUED", "LIVE", "FAILED", "CANCELED"],
  LIVE: ["DRAINING"],
  DRAINING: ["RETIRED"],
  RETIRED: [],
  FAILED: [],
  CANCELED: [],
}

const ERROR_LENGTH = 16_384

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  now: () => Date
}

type Moved = Partial<Omit<RevisionRow, "state">>

export function rolloutStates({ metadata, now }: Deps) {
  /** Does nothing for a revision that was removed with its plugin. @throws for a state that may not follow */
  const move = (tx: Transaction, revisionId: string, state: RevisionState, change: Moved = {}): void => {
    const row = tx.read.deployments.revision(revisionId)
    if (row === undefined) return
    if (!NEXT[row.state].includes(state)) throw new Error(`revision ${revisionId} is ${row.state}, not to be ${state}`)
    tx.write.deployments.updateRevision({ ...row, ...change, state })
  }

  /** Moves a rollout on; null when another took its place or it was called off. */
  const advance = <T>(
    revisionId: string,
    change: (tx: Transaction, deployment: DeploymentRow, at: string) => T,
  ): T | null =>
    metadata.transact((tx) => {
      const deployment = rolling(tx.read, revisionId)
      return deployment === null ? null : change(tx, deployment, now().toISOString())
    })

  const put = (
    tx: Transaction,
    deployment: DeploymentRow,
    change: Partial<DeploymentRow>,
    at: string,
  ): DeploymentRow => {
    const changed = { ...deployment, ...change, updated_at: at }
    tx.write.deployments.put(changed)
    return changed
  }

  return {
    /** QUEUED, in place of a rollout that is under way. */
    queue(namespace: Namespace, plugin: PluginRow, by: string, reason: string): DeploymentRow {
      return metadata.transact((tx) => {
        const at = now().toISOString()
        const existing = tx.read.deployments.get(namespace.namespaceId, plugin.plugin_id)
        if (existing?.rollout_revision_id != null) {
          const error = "another rollout took its place"
          move(tx, existing.rollout_revision_id, "CANCELED", { ended_at: at, error })
        }
        const revisionId = newId("rev")
        tx.write.deployments.insertRevision({
          revision_id: revisionId,
          namespace_id: namespace.namespaceId,
          plugin_id: plugin.plugin_id,
          code_hash: plugin.code_hash,
          state: "QUEUED",
          reason,
          created_by: by,
          error: null,
          isolation: null,
          isolation_facts: null,
          created_at: at,
          started_at: null,
          live_at: null,
          ended_at: null,
          environment_hash: environmentHash(plugin),
        })
        const deployment: DeploymentRow = {
          namespace_id: namespace.namespaceId,
          plugin_id: plugin.plugin_id,
          name: plugin.name,
          live_revision_id: existing?.live_revision_id ?? null,
          previous_revision_id: existing?.previous_revision_id ?? null,
          deployed_at: existing?.deployed_at ?? null,
          status: "QUEUED",
          rollout_revision_id: revisionId,
          queued_at: at,
          error: null,
          updated_at: at,
        }
        tx.write.deployments.put(deployment)
        return deployment
      })
    },

    pending: (revisionId: string): DeploymentRow | null =>
      advance(revisionId, (tx, deployment, at) => {
        move(tx, revisionId, "PENDING", { started_at: at })
        return put(tx, deployment, { status: "PENDING" }, at)
      }),

    inProgress: (revisionId: string): DeploymentRow | null =>
      advance(revisionId, (tx, deployment, at) => {
        move(tx, revisionId, "IN_PROGRESS")
        return put(tx, deployment, { status: "IN_PROGRESS" }, at)
      }),

    /** The flip. `previousPluginId` is what its name answered with, when that was another. */
    live: (revisionId: string, worker: Worker | undefined) =>
      advance(revisionId, (tx, deployment, at) => {
        const { live_revision_id: before } = deployment
        if (before !== null) move(tx, before, "DRAINING")
        move(tx, revisionId, "LIVE", {
          live_at: at,
          isolation: worker?.isolation ?? null,
          isolation_facts: worker === undefined ? null : JSON.stringify(worker.isolationFacts),
        })
        const previousPluginId = pointAlias(tx, deployment, at)
        const change = { live_revision_id: revisionId, previous_revision_id: before, rollout_revision_id: null }
        const row = put(tx, deployment, { ...change, status: "DEPLOYED", deployed_at: at, error: null }, at)
        return { deployment: row, previousPluginId }
      }),

    failed(revisionId: string, message: string): void {
      const error = message.slice(0, ERROR_LENGTH)
      advance(revisionId, (tx, deployment, at) => {
        move(tx, revisionId, "FAILED", { error, ended_at: at })
        return put(tx, deployment, { status: "FAILED", rollout_revision_id: null, error }, at)
      })
    },

    retired: (revisionId: string): void =>
      metadata.transact((tx) => move(tx, revisionId, "RETIRED", { ended_at: now().toISOString() })),

    /** Of everything, after a kill: what drained has ended, what was under way is queued again. */
    recover(): DeploymentRow[] {
      metadata.transact((tx) => tx.write.deployments.retireDraining(now().toISOString()))
      return metadata.read.deployments.all().map((row) => {
        const { rollout_revision_id: revisionId } = row
        if (revisionId === null) return row
        const again = advance(revisionId, (tx, deployment, at) => {
          move(tx, revisionId, "QUEUED")
          return put(tx, deployment, { status: "QUEUED" }, at)
        })
        return again ?? row
      })
    },

    /**
     * Calls off what is under way and takes down what answers; the name goes back to the version before, where that `answers`. True when
     * something answered until now.
     */
    takeDown: (
      namespaceId: string,
      pluginId: string,
      { forGood, answers }: { forGood: boolean; answers: (pluginId: string) => boolean },
    ): boolean =>
      metadata.transact((tx) => {
        const row = tx.read.deployments.get(namespaceId, pluginId)
        if (row === undefined) return false
        const at = now().toISOString()
        if (row.rollout_revision_id !== null) move(tx, row.rollout_revision_id, "CANCELED", { ended_at: at })
        if (row.live_revision_id !== null) move(tx, row.live_revision_id, "DRAINING")
        const alias = tx.read.deployments.alias(namespaceId, row.name)
        if (alias?.plugin_id === pluginId) {
          const previous = alias.previous_plugin_id
          if (previous !== null && answers(previous)) {
            tx.write.deployments.putAlias({ ...alias, plugin_id: previous, previous_plugin_id: null, updated_at: at })
          } else tx.write.deployments.removeAlias(namespaceId, row.name)
        }
        const nothing = { live_revision_id: null, rollout_revision_id: null, deployed_at: null, error: null }
        if (forGood) tx.write.deployments.remove(namespaceId, pluginId)
        else put(tx, row, { ...nothing, status: "NOT_DEPLOYED" }, at)
        return row.live_revision_id !== null
      }),

    /** The deployment whose rollout this is; null when it is no more. */
    rolling: (revisionId: string): DeploymentRow | null => rolling(metadata.read, revisionId),
  }
}

export type RolloutStates = ReturnType<typeof rolloutStates>

function rolling(read: Metadata["read"], revisionId: string): DeploymentRow | null {
  const revision = read.deployments.revision(revisionId)
  if (revision === undefined) return null
  const deployment = read.deployments.get(revision.namespace_id, revision.plugin_id)
  return deployment?.rollout_revision_id === revisionId ? deployment : null
}

/** The plugin id that the name answered with, when that was another. */
function pointAlias(tx: Transaction, { namespace_id, name, plugin_id }: DeploymentRow, at: string): string | null {
  const alias = tx.read.deployments.alias(namespace_id, name)
  if (alias?.plugin_id === plugin_id) return null
  const previous_plugin_id = alias?.plugin_id ?? null
  tx.write.deployments.putAlias({ namespace_id, name, plugin_id, previous_plugin_id, updated_at: at })
  return previous_plugin_id
}
