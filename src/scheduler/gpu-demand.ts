import { type GpuDemand, MIB_PER_GIB } from "./gpu-leases.ts"

/** Of a plugin's code, as its author declares what it needs. */
interface Declared {
  readonly pluginId: string
  readonly manifest: { readonly compute_profile: Readonly<Record<string, unknown>> | null }
}

/** By the manifest's `compute_profile`; steps of a pipeline may say so besides. */
export function declaresGpu({ manifest }: Pick<Declared, "manifest">): boolean {
  return manifest.compute_profile?.resource_type === "gpu"
}

/** What a worker of this plugin asks of a GPU. `owner`: its namespace; `key`: whose measured peak counts for it. */
export function gpuDemand(
  owner: string,
  { pluginId, manifest }: Declared,
  { key, realtime }: { key: string; realtime: boolean },
): GpuDemand {
  const declared = manifest.compute_profile?.gpu_memory_gb
  const gib = typeof declared === "number" && declared > 0 ? declared : null
  return { owner, holder: pluginId, key, declaredMib: gib === null ? null : Math.ceil(gib * MIB_PER_GIB), realtime }
}
