import { join } from "node:path"

/** What a file below `archives/` belongs to. */
export interface PluginPlace {
  readonly orgId: string
  readonly namespaceId: string
  readonly pluginId: string
}

export type NamespacePlace = Pick<PluginPlace, "orgId" | "namespaceId">

const PART = /^[A-Za-z0-9_]{1,128}$/
const FILE = /^[A-Za-z0-9_]{1,128}(\.zip|\.tar\.gz)?$/

/**
 * `<org_id>/<ns_id>/plugin_custom/<plugin_id>/<file>`: the key under which the API names a plugin's file, and its path
 * below `archives/`. @throws Error for a part that is none of our ids: nothing a caller wrote may become a path
 */
export function pluginKey({ orgId, namespaceId, pluginId }: PluginPlace, file: string): string {
  if (![orgId, namespaceId, pluginId].every((part) => PART.test(part)) || !FILE.test(file)) {
    throw new Error(`not a plugin's place: ${JSON.stringify([orgId, namespaceId, pluginId, file])}`)
  }
  return `${orgId}/${namespaceId}/plugin_custom/${pluginId}/${file}`
}

/** The archive's address in answers; `archives` stands where an object store has its bucket. */
export function archiveUrl(place: PluginPlace, file: string): string {
  return `s3://archives/${pluginKey(place, file)}`
}

/** Name of the unpacked tree beside its archive. */
export function treeName(archiveFile: string): string {
  return archiveFile.replace(/\.(zip|tar\.gz)$/, "")
}

export function archivePaths(dataDir: string) {
  const root = join(dataDir, "archives")
  const namespace = ({ orgId, namespaceId }: NamespacePlace) => {
    if (!PART.test(orgId) || !PART.test(namespaceId)) throw new Error("not a namespace's place")
    return join(root, orgId, namespaceId)
  }
  return {
    root,
    file: (place: PluginPlace, file: string) => join(root, pluginKey(place, file)),
    tree: (place: PluginPlace, archiveFile: string) => join(root, pluginKey(place, treeName(archiveFile))),
    namespace,
    /** Bytes that came before it was known what they belong to. */
    incoming(place: NamespacePlace, uploadId: string) {
      if (!PART.test(uploadId)) throw new Error("not an upload's id")
      return join(namespace(place), "incoming", uploadId)
    },
  }
}
