/**
 * Operations of the public API that this version does not carry out yet (api.md §12): an honest 501 in place of a 404, so
 * that a client can tell a missing feature from a wrong address. A route that gets built leaves this table.
 */
import { ApplianceError } from "../../errors.ts"
import type { App } from "../app.ts"

const NOT_ENABLED: readonly (readonly [method: string, path: string])[] = [
  ["post", "/v1/collections/:collection/documents"],
  ["put", "/v1/collections/:collection/documents/:document"],
  ["patch", "/v1/collections/:collection/documents/bulk"],
  ["patch", "/v1/collections/:collection/documents/:document"],
  ["post", "/v1/collections/:collection/documents/batch"],
  ["delete", "/v1/collections/:collection/documents/batch"],
  ["delete", "/v1/collections/:collection/documents/:document"],
  ["post", "/v1/collections/:collection/documents/aggregate"],
  ["post", "/v1/buckets/:bucket/objects/aggregate"],
  ["post", "/v1/buckets/:bucket/uploads/batch"],
  ["post", "/v1/buckets/:bucket/uploads/confirm/batch"],
  ["get", "/v1/buckets/:bucket/batches/:batch/audit"],
  ["get", "/v1/me"],
  ["post", "/v1/documents/list"],
  ["get", "/v1/documents/:document"],
  ["get", "/v1/collections/:collection/documents/count"],
  ["post", "/v1/collections/:collection/clone"],
  ["get", "/v1/namespaces/:namespace/stats"],
  ["post", "/v1/namespaces/:namespace/clone"],
  ["post", "/v1/namespaces/:namespace/promote"],
  ["get", "/v1/retrievers/stages"],
  ["post", "/v1/retrievers/execute"],
  ["post", "/v1/retrievers"],
  ["get", "/v1/retrievers"],
  ["post", "/v1/retrievers/list"],
  ["get", "/v1/retrievers/:retriever"],
  ["patch", "/v1/retrievers/:retriever"],
  ["delete", "/v1/retrievers/:retriever"],
  ["post", "/v1/retrievers/:retriever/execute"],
  ["post", "/v1/retrievers/:retriever/execute/explain"],
  ["patch", "/v1/organizations"],
  ["post", "/v1/organizations/secrets"],
  ["get", "/v1/organizations/secrets"],
  ["put", "/v1/organizations/secrets/:secret"],
  ["delete", "/v1/organizations/secrets/:secret"],
  ["get", "/v1/plugins"],
  ["get", "/v1/plugins/:plugin"],
  ["delete", "/v1/plugins/:plugin"],
  ["post", "/v1/plugins/uploads"],
  ["post", "/v1/plugins/uploads/:upload/confirm"],
  ["get", "/v1/namespaces/:namespace/plugins/available"],
  ["post", "/v1/namespaces/:namespace/plugins/org/:plugin/enable"],
  ["post", "/v1/namespaces/:namespace/plugins/org/:plugin/disable"],
  ["post", "/v1/namespaces/standalone"],
  ["get", "/v1/models"],
  ["get", "/v1/models/:model"],
  ["delete", "/v1/models/:model"],
  ["post", "/v1/models/uploads"],
  ["post", "/v1/models/uploads/:upload/confirm"],
  ["post", "/v1/namespaces/:namespace/models"],
  ["get", "/v1/namespaces/:namespace/models"],
  ["get", "/v1/namespaces/:namespace/models/available"],
  ["get", "/v1/namespaces/:namespace/models/:model"],
  ["delete", "/v1/namespaces/:namespace/models/:model"],
  ["post", "/v1/namespaces/:namespace/models/:model/deploy"],
  ["post", "/v1/namespaces/:namespace/models/org/:model/enable"],
  ["post", "/v1/namespaces/:namespace/models/org/:model/disable"],
]

/** Register before the routes whose parameters would swallow a fixed segment here (`…/plugins/available`). */
export function notEnabledRoutes(app: App): void {
  for (const [method, path] of NOT_ENABLED) {
    app.on(method.toUpperCase(), path, (c) => {
      throw new ApplianceError(
        "NotEnabledError",
        `${c.req.method} ${path} is not offered by this version of the appliance yet.`,
        {
          details: { operation: `${c.req.method} ${path}` },
        },
      )
    })
  }
}
