/**
 * Plugins that are there. A plugin exists by its row and by nothing else: its files are in place before the row is written,
 * and are taken away after the row is gone. One plugin's place is changed by one at a time.
 */

import { archiveUrl, type PluginPlace } from "../archives/paths.ts"
import type { PluginArchives, StagedArchive } from "../archives/plugin-archives.ts"
import type { PluginConfirmation, PluginNote, PluginWarning } from "../contract/plugins.ts"
import { notFound } from "../errors.ts"
import { featureUri, normalizeVersion, pluginId } from "../identifiers.ts"
import type { Log } from "../log.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PluginRow, PluginUploadRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { QuotaBook } from "../organizations/quotas.ts"
import { PluginEnvironment } from "../workers/environments/plugin-environment.ts"
import { alreadyRegistered } from "./failures.ts"
import type { PluginManifest } from "./manifest.ts"
import { inTurns } from "./turns.ts"

/** A plugin as batches and collections need it. */
export interface RegisteredPlugin {
  readonly pluginId: string
  readonly name: string
  readonly version: string
  /** SHA-256 of the unpacked code: sorted paths and contents. */
  readonly codeHash: string
  /** Absolute; read-only. */
  readonly treePath: string
  readonly manifest: PluginManifest
  readonly hasRealtime: boolean
  /** Python package under which a worker imports it: unique per namespace, plugin and code. */
  readonly packageName: string
  /** What its workers run in; null: the base environment of the appliance's own Python. */
  readonly environment: PluginEnvironment | null
}

/** What a confirmation found out about a staged archive. */
export interface ConfirmedCode {
  readonly staged: StagedArchive
  readonly archiveFile: string
  readonly archiveBytes: number
  readonly codeHash: string
  readonly ruleSet: string
  readonly warnings: readonly PluginWarning[]
  readonly notes: readonly PluginNote[]
  readonly manifest: PluginManifest
  readonly hasRealtime: boolean
  readonly environment: PluginEnvironment | null
}

/** More versions in one error would be noise. */
const MAX_NAMED = 20

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  archives: PluginArchives
  quotas: Pick<QuotaBook, "demandRoom">
  now: () => Date
  log: Log
}

export function pluginRegistry({ metadata, archives, quotas, now, log }: Deps) {
  const inTurn = inTurns()

  const get = (namespace: Namespace, id: string): RegisteredPlugin | null => {
    const row = metadata.read.plugins.get(namespace.namespaceId, id)
    return row === undefined ? null : registered(archives, namespace, row)
  }

  /** @throws AlreadyExistsError */
  const refuseRegistered = (namespace: Namespace, name: string, version: string): void => {
    const id = pluginId(name, version)
    if (metadata.read.plugins.get(namespace.namespaceId, id) !== undefined) throw alreadyRegistered(name, version, id)
  }

  return {
    get,

    known: (namespace: Namespace) => ({
      /** By name and version in any spelling that is normalised. */
      find(name: string, version: string): RegisteredPlugin | null {
        const normalized = normalizeVersion(version)
        return normalized === null ? null : get(namespace, pluginId(name, normalized))
      },
      /** The newest of a name, for people to choose from. */
      versions: (name: string): readonly string[] =>
        metadata.read.plugins
          .list(namespace.namespaceId)
          .filter((plugin) => plugin.name === name)
          .map((plugin) => plugin.version)
          .slice(-MAX_NAMED),
    }),

    refuseRegistered,

    /**
     * Puts the files in place, then makes the plugin visible and answers its upload, in one transaction.
     * @throws AlreadyExistsError when another upload of this version was first
     */
    register(namespace: Namespace, upload: PluginUploadRow, code: ConfirmedCode): Promise<PluginConfirmation> {
      const id = pluginId(upload.name, upload.version)
      const place: PluginPlace = { orgId: namespace.orgId, namespaceId: namespace.namespaceId, pluginId: id }
      return inTurn(`${place.namespaceId}/${id}`, async () => {
        refuseRegistered(namespace, upload.name, upload.version)
        const growth = { plugins: 1, bytes: code.archiveBytes }
        quotas.demandRoom(metadata.read, namespace.namespaceId, growth)
        await archives.land(place, code.staged, code.archiveFile)
        const answer = confirmation(place, upload, code)
        const at = now().toISOString()
        metadata.transact((tx) => {
          const { internalId, namespaceId } = namespace
          if (tx.read.organizations.namespace(internalId, namespaceId) === undefined)
            throw notFound("namespace", namespaceId)
          quotas.demandRoom(tx.read, namespaceId, growth)
          if (!tx.write.plugins.answerUpload(upload.upload_id, JSON.stringify(answer))) {
            throw notFound("plugin upload", upload.upload_id)
          }
          tx.write.plugins.insert({
            namespace_id: namespaceId,
            plugin_id: id,
            name: upload.name,
            version: upload.version,
            description: upload.description ?? code.manifest.description,
            code_hash: code.codeHash,
            archive_file: code.archiveFile,
            archive_bytes: code.archiveBytes,
            rule_set: code.ruleSet,
            warnings: JSON.stringify(code.warnings),
            manifest: JSON.stringify(code.manifest),
            has_realtime: code.hasRealtime ? 1 : 0,
            environment: code.environment === null ? null : JSON.stringify(code.environment),
            created_at: at,
            updated_at: at,
          })
        })
        log.info(
          { event: "plugin_registered", namespace_id: namespace.namespaceId, plugin_id: id },
          "plugin registered",
        )
        return answer
      })
    },

    /** The row first: from then on it does not exist. Its confirmed uploads go with it. @throws NotFoundError */
    remove(namespace: Namespace, id: string): Promise<void> {
      return inTurn(`${namespace.namespaceId}/${id}`, async () => {
        const row = metadata.transact((tx) => {
          const row = tx.read.plugins.get(namespace.namespaceId, id)
          if (row === undefined || !tx.write.plugins.remove(namespace.namespaceId, id)) throw notFound("plugin", id)
          tx.write.plugins.removeConfirmedUploads(namespace.namespaceId, row.name, row.version)
          return row
        })
        log.info({ event: "plugin_removed", namespace_id: namespace.namespaceId, plugin_id: id }, "plugin removed")
        try {
          await archives.remove(placeOf(namespace, row), row.archive_file)
        } catch (err) {
          // The plugin is gone all the same; files without a row are removed at the next start.
          log.warn(
            { event: "plugin_files_left", plugin_id: id, err },
            "files of a removed plugin are left until the next start",
          )
        }
      })
    },
  }
}

export type PluginRegistry = ReturnType<typeof pluginRegistry>

export function placeOf(namespace: Namespace, row: PluginRow): PluginPlace {
  return { orgId: namespace.orgId, namespaceId: namespace.namespaceId, pluginId: row.plugin_id }
}

/** A valid identifier: ids hold letters, digits and underscores only. */
export function packageName(namespaceId: string, id: string, codeHash: string): string {
  return `plugin_${namespaceId}_${id}_${codeHash.slice(0, 16)}`
}

function registered(archives: PluginArchives, namespace: Namespace, row: PluginRow): RegisteredPlugin {
  return {
    pluginId: row.plugin_id,
    name: row.name,
    version: row.version,
    codeHash: row.code_hash,
    treePath: archives.treePath(placeOf(namespace, row), row.archive_file),
    manifest: JSON.parse(row.manifest),
    hasRealtime: row.has_realtime === 1,
    packageName: packageName(row.namespace_id, row.plugin_id, row.code_hash),
    environment: row.environment === null ? null : PluginEnvironment.parse(JSON.parse(row.environment)),
  }
}

function confirmation(place: PluginPlace, upload: PluginUploadRow, code: ConfirmedCode): PluginConfirmation {
  const uri = featureUri(upload.name, upload.version)
  return {
    success: true,
    upload_id: upload.upload_id,
    plugin_id: place.pluginId,
    validation_status: "passed",
    validation_errors: [],
    deployment_status: "not_deployed",
    feature_uri: uri,
    s3_archive_url: archiveUrl(place, code.archiveFile),
    code_hash: code.codeHash,
    warnings: [...code.warnings],
    notes: [...code.notes],
    message: `Plugin ${uri} is ready for collections.`,
  }
}
