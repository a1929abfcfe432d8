/** Registered plugins as the API shows them, and what can be done with one; what answers in realtime is deployments' business. */
import { archiveUrl } from "../archives/paths.ts"
import type { PluginArchives } from "../archives/plugin-archives.ts"
import type {
  ListPluginsResponse,
  PluginDeployment,
  PluginDetail,
  PluginDocument,
  PluginEnvironment,
  PluginListItem,
  PluginRemoved,
} from "../contract/plugins.ts"
import { ApplianceError, notFound } from "../errors.ts"
import { featureUri } from "../identifiers.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PluginRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { PresignedUrls } from "../presigned-urls.ts"
import { PluginEnvironment as StoredEnvironment } from "../workers/environments/plugin-environment.ts"
import { type PluginRegistry, placeOf } from "./registry.ts"

/** api.md §1.5: one hour. */
const DOWNLOAD_SECONDS = 3600

export interface ArchiveDownload {
  /** Absolute. */
  readonly path: string
  readonly bytes: number
  readonly filename: string
  readonly contentType: string
}

interface Deps {
  metadata: Pick<Metadata, "read">
  archives: PluginArchives
  registry: PluginRegistry
  signUrl: PresignedUrls["sign"]
  /** Plugin ids of a namespace that answer in realtime now. */
  deployed: (namespaceId: string) => ReadonlySet<string>
  /** The plugin goes: so does what answers. True when something did. */
  takeDown: (namespaceId: string, pluginId: string) => boolean
  /** Called when it is gone. */
  onRemoved: () => void
  now: () => Date
}

export function plugins({ metadata, archives, registry, signUrl, deployed, takeDown, onRemoved, now }: Deps) {
  const find = (namespace: Namespace, id: string): PluginRow => {
    const row = metadata.read.plugins.get(namespace.namespaceId, id)
    if (row === undefined) throw notFound("plugin", id)
    return row
  }

  return {
    list(namespace: Namespace): ListPluginsResponse {
      const answering = deployed(namespace.namespaceId)
      const items = metadata.read.plugins
        .list(namespace.namespaceId)
        .map((row) => listItem(row, answering.has(row.plugin_id)))
      return { success: true, plugins: items, total: items.length, namespace_id: namespace.namespaceId }
    },

    get(namespace: Namespace, id: string, withDownloadUrl: boolean): PluginDetail {
      const row = find(namespace, id)
      const expiresAt = new Date(now().getTime() + DOWNLOAD_SECONDS * 1000)
      const path = `archives/${row.namespace_id}/${row.plugin_id}`
      return {
        success: true,
        plugin: document(namespace, row, deployed(row.namespace_id).has(row.plugin_id)),
        presigned_download_url: withDownloadUrl ? signUrl({ method: "GET", path, expiresAt }) : null,
      }
    },

    /** What a signed download URL leads to; the signature was checked. @throws NotFoundError */
    download(namespaceId: string, id: string): ArchiveDownload {
      const row = metadata.read.plugins.placed(namespaceId, id)
      if (row === undefined) throw notFound("plugin", id)
      const zip = row.archive_file.endsWith(".zip")
      return {
        path: archives.archivePath({ orgId: row.org_id, namespaceId, pluginId: id }, row.archive_file),
        bytes: row.archive_bytes,
        filename: `${id}${zip ? ".zip" : ".tar.gz"}`,
        contentType: zip ? "application/zip" : "application/gzip",
      }
    },

    /**
     * A plugin without realtime.py needs no deployment to be used in collections, and is told so. Null for one that has it, unless
     * only batches are asked for: something is to be started then.
     * @throws BadRequestError for a realtime deployment of a plugin without realtime.py
     */
    deployForBatches(
      namespace: Namespace,
      id: string,
      type: "batch_only" | "realtime" | undefined,
    ): PluginDeployment | null {
      const row = find(namespace, id)
      const hasRealtime = row.has_realtime === 1
      if (type === "realtime" && !hasRealtime) {
        throw new ApplianceError("BadRequestError", `Plugin ${id} has no realtime.py, so there is nothing to serve.`)
      }
      if (hasRealtime && type !== "batch_only") return null
      return {
        success: true,
        plugin_id: id,
        namespace_id: namespace.namespaceId,
        status: "deployed",
        deployment_type: "batch_only",
        message: "Plugin is ready for batch processing in collections.",
        feature_uri: featureUri(row.name, row.version),
        realtime_available: hasRealtime,
      }
    },

    async remove(namespace: Namespace, id: string): Promise<PluginRemoved> {
      find(namespace, id)
      const deploymentRemoved = takeDown(namespace.namespaceId, id)
      await registry.remove(namespace, id)
      onRemoved()
      return {
        success: true,
        plugin_id: id,
        message: `Plugin ${id} was deleted.`,
        deployment_removed: deploymentRemoved,
      }
    },
  }
}

export type Plugins = ReturnType<typeof plugins>

function listItem(row: PluginRow, isDeployed: boolean): PluginListItem {
  return {
    plugin_id: row.plugin_id,
    name: row.name,
    version: row.version,
    description: row.description,
    deployed: isDeployed,
    validation_status: "passed",
    feature_uri: featureUri(row.name, row.version),
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}

function document(namespace: Namespace, row: PluginRow, isDeployed: boolean): PluginDocument {
  const uri = featureUri(row.name, row.version)
  return {
    plugin_id: row.plugin_id,
    namespace_id: row.namespace_id,
    organization_id: namespace.orgId,
    name: row.name,
    version: row.version,
    description: row.description,
    s3_archive_url: archiveUrl(placeOf(namespace, row), row.archive_file),
    archive_size_bytes: row.archive_bytes,
    code_hash: row.code_hash,
    feature_uri: uri,
    validation_status: "passed",
    validation_errors: [],
    security_scan_passed: true,
    security_scan_rules: row.rule_set,
    warnings: JSON.parse(row.warnings),
    has_realtime: row.has_realtime === 1,
    deployed: isDeployed,
    deployment_info: isDeployed ? { feature_uri: uri } : null,
    manifest: JSON.parse(row.manifest),
    environment: environment(row),
    created_at: row.created_at,
    updated_at: row.updated_at,
    deployed_at: null,
    resolved_inference_name: row.has_realtime === 1 ? row.plugin_id : null,
  }
}

function environment(row: PluginRow): PluginEnvironment | null {
  if (row.environment === null) return null
  const { organization: _, ...shown } = StoredEnvironment.parse(JSON.parse(row.environment))
  return shown
}
