/**
 * How well plugin code is kept apart from the machine, weakest first. `full`: own files only, no network, no other processes,
 * and the data directory is not even to be seen. `standard`: the same, but existence and size of other files can be asked.
 * `reduced`: no network and no other processes, but every file that the server's user may touch. `none`: nothing is refused.
 */
export const ISOLATION_LEVELS = ["none", "reduced", "standard", "full"] as const

export type IsolationLevel = (typeof ISOLATION_LEVELS)[number]

/** What every machine with Linux 5.13 reaches, containers included. */
export const DEFAULT_MINIMUM_ISOLATION: IsolationLevel = "standard"

export function isBelow(level: IsolationLevel, minimum: IsolationLevel): boolean {
  return ISOLATION_LEVELS.indexOf(level) < ISOLATION_LEVELS.indexOf(minimum)
}
