/** What an administrator is told at the start, or kept from: how far plugin code is confined, and who could reach it. */
import { type Config, ConfigError, isLoopback } from "../config.ts"
import { DEFAULT_MINIMUM_ISOLATION, type IsolationLevel, isBelow } from "../isolation-levels.ts"
import type { Log } from "../log.ts"
import type { WorkerFacts } from "../workers/worker-facts.ts"

/** Plugin code that is not isolated must not be reachable by everybody. @throws ConfigError */
export function refuseOpenHost(config: Config, isolation: IsolationLevel): void {
  const weakest = isBelow(isolation, config.minimumIsolation) ? config.minimumIsolation : isolation
  if (!isBelow(weakest, DEFAULT_MINIMUM_ISOLATION) || isLoopback(config.host) || config.allowUnsandboxed) return
  throw new ConfigError(
    `--host ${config.host} can be reached from other machines, and plugin code is hardly isolated (${isolation}). ` +
      "Listen on 127.0.0.1 behind a proxy, or say --allow-unsandboxed.",
  )
}

/** What the admin should know when the server is up, a line each. */
export function notices(config: Config, facts: WorkerFacts): string[] {
  const { level } = facts.isolation
  return [
    `isolation: ${level}${isBelow(level, DEFAULT_MINIMUM_ISOLATION) ? " (plugins can read and write every file of this user, the data of all tenants too)" : ""}`,
    ...(isBelow(facts.minimumIsolation, DEFAULT_MINIMUM_ISOLATION)
      ? [`minimum isolation: ${facts.minimumIsolation}, LOWER than it should be: run only plugins that you trust`]
      : []),
    ...(config.landingFault === null
      ? []
      : ["FAULTS ARE INJECTED (MIXPEEK_FAULT_INJECTION): this server fails on purpose"]),
    ...(config.scan ? [] : ["scan: OFF (MIXPEEK_SCAN): whatever is published runs"]),
    ...(facts.problem === null ? [] : [facts.problem]),
  ]
}

/** Settings that take away what protects the machine from plugins are logged, each, at every start. */
export function warnOfLoosening(config: Config, { isolation }: WorkerFacts, log: Log): void {
  if (isBelow(config.minimumIsolation, DEFAULT_MINIMUM_ISOLATION)) {
    log.warn(
      { event: "minimum_isolation_lowered", minimum: config.minimumIsolation, isolation: isolation.level },
      "plugin code may run less isolated than it should: the minimum was set lower",
    )
  }
  if (!config.scan) log.warn({ event: "scan_off" }, "plugins are published without a scan: MIXPEEK_SCAN is off")
}
