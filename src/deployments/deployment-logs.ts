/**
 * What deployed plugins print and raise, the newest lines of each, with the revision and the request they belong to. In memory: the
 * server's own log has the same lines for good, at level debug.
 */
import type { PluginLogLine } from "../contract/plugins.ts"

/** Of one plugin id. */
const MAX_LINES = 1_000
const MAX_CHARACTERS = 1024 * 1024

export type LogLine = Omit<PluginLogLine, "time">

export function deploymentLogs(now: () => Date) {
  const logs = new Map<string, { lines: PluginLogLine[]; characters: number }>()
  const keyOf = (namespaceId: string, pluginId: string) => `${namespaceId}/${pluginId}`
  return {
    /** From now on lines are kept. */
    open(namespaceId: string, pluginId: string): void {
      const key = keyOf(namespaceId, pluginId)
      if (!logs.has(key)) logs.set(key, { lines: [], characters: 0 })
    },

    /** Kept while it is open: a deleted plugin's workers print while they end. */
    add(namespaceId: string, pluginId: string, line: LogLine): void {
      const log = logs.get(keyOf(namespaceId, pluginId))
      if (log === undefined) return
      log.lines.push({ time: now().toISOString(), ...line })
      log.characters += line.message.length
      while (log.lines.length > MAX_LINES || (log.characters > MAX_CHARACTERS && log.lines.length > 1)) {
        log.characters -= log.lines.shift()?.message.length ?? 0
      }
    },

    /** Oldest first, the newest `limit` of those that belong to the request when one is named. */
    read(
      namespaceId: string,
      pluginId: string,
      { requestId, limit }: { requestId?: string; limit: number },
    ): PluginLogLine[] {
      const lines = logs.get(keyOf(namespaceId, pluginId))?.lines ?? []
      const wanted = requestId === undefined ? lines : lines.filter((line) => line.request_id === requestId)
      return wanted.slice(-limit)
    },

    forget(namespaceId: string, pluginId: string): void {
      logs.delete(keyOf(namespaceId, pluginId))
    },
  }
}

export type DeploymentLogs = ReturnType<typeof deploymentLogs>
