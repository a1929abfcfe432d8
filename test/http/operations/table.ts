/** Every operation that is served, in the order of the parts. */
import { apiKeys } from "./api-keys.ts"
import { batches } from "./batches.ts"
import { bucketUploads } from "./bucket-uploads.ts"
import { buckets } from "./buckets.ts"
import { collections } from "./collections.ts"
import { documents } from "./documents.ts"
import type { Entry } from "./entry.ts"
import { extractors } from "./extractors.ts"
import type { OpenApi } from "./fixtures.ts"
import { health, organization } from "./health.ts"
import { inference } from "./inference.ts"
import { namespaces } from "./namespaces.ts"
import { objects } from "./objects.ts"
import { pluginUploads } from "./plugin-uploads.ts"
import { plugins } from "./plugins.ts"
import { tasks } from "./tasks.ts"

export const TABLE: readonly Entry[] = [
  ...health,
  ...organization,
  ...apiKeys,
  ...namespaces,
  ...extractors,
  ...pluginUploads,
  ...plugins,
  ...inference,
  ...buckets,
  ...objects,
  ...bucketUploads,
  ...batches,
  ...collections,
  ...documents,
  ...tasks,
]

/** `METHOD /path` of everything /openapi.json lists. */
export function operationsOf(openapi: OpenApi): string[] {
  return Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
}
