/**
 * What deployed plugins print and raise, the newest lines of each, with the revision and the request they belong to. In memory: the
 * server's own log has the same lines for good, at level debug.
 */
import type { PluginLogLine } from "../contract/plugins.ts"
import { newestLines } from "../newest-lines.ts"

/** Of one plugin id; there are as many as are deployed. */
const BOUNDS = { lines: 1_000, characters: 1024 * 1024, keys: Number.POSITIVE_INFINITY }

export type LogLine = Omit<PluginLogLine, "time">

export function deploymentLogs(now: () => Date) {
  const logs = newestLines<PluginLogLine>(BOUNDS)
  const keyOf = (namespaceId: string, pluginId: string) => `${namespaceId}/${pluginId}`
  return {
    /** From now on lines are kept. */
    open: (namespaceId: string, pluginId: string): void => logs.open(keyOf(namespaceId, pluginId)),

    /** Kept while it is open: a deleted plugin's workers print while they end. */
    add: (namespaceId: string, pluginId: string, line: LogLine): void =>
      logs.add(keyOf(namespaceId, pluginId), { time: now().toISOString(), ...line }),

    /** Oldest first, the newest `limit` of those that belong to the request when one is named. */
    read: (
      namespaceId: string,
      pluginId: string,
      { requestId, limit }: { requestId?: string; limit: number },
    ): PluginLogLine[] =>
      logs.read(
        keyOf(namespaceId, pluginId),
        limit,
        (line) => requestId === undefined || line.request_id === requestId,
      ),

    forget: (namespaceId: string, pluginId: string): void => logs.forget(keyOf(namespaceId, pluginId)),
  }
}

export type DeploymentLogs = ReturnType<typeof deploymentLogs>
