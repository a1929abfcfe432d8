import { z } from "zod"

const Package = z.object({
  name: z.string(),
  version: z.string(),
  /** The wheel's name. */
  file: z.string(),
  sha256: z.string(),
})
export type EnvironmentPackage = z.output<typeof Package>

/** What a plugin runs in, decided once when it is confirmed and kept with it. */
export const PluginEnvironment = z.object({
  /** Names its directory; the base environment's when nothing is needed beyond it. */
  hash: z.string(),
  /** Hash of the base environment beneath it. */
  base: z.string(),
  organization: z.string(),
  /** Version of the Python that it was resolved for, such as 3.11.7; any with its ABI runs it. */
  python: z.string(),
  abi: z.string(),
  platform: z.string(),
  /** As the plugin states them. */
  requirements: z.array(z.string()),
  requires_python: z.string().nullable(),
  /** Beyond the base environment, or instead of what it has; by name. */
  packages: z.array(Package),
})
export type PluginEnvironment = z.output<typeof PluginEnvironment>

/** As pip reads it: each package with its version and the hash of its file. */
export function lockText(packages: readonly EnvironmentPackage[]): string {
  return packages.map(({ name, version, sha256 }) => `${name}==${version} \\\n    --hash=sha256:${sha256}\n`).join("")
}

/** One line of a plugin's requirements, and where it stands. */
export interface StatedRequirement {
  readonly text: string
  /** Such as `requirements.txt:3`. */
  readonly origin: string
}
