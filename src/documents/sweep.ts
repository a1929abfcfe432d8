import { existsSync } from "node:fs"
import { readdir, rm } from "node:fs/promises"
import { join, relative } from "node:path"

/**
 * Removes files below `<dataDir>/documents` that no row names: what a kill between rename and commit left, superseded
 * parts, deleted collections. `named` are part files (without ending) and dead files, relative to the data directory.
 * Call only while nothing is being committed. Answers how many were removed.
 */
export async function sweepDocumentFiles(dataDir: string, named: ReadonlySet<string>): Promise<number> {
  const root = join(dataDir, "documents")
  if (!existsSync(root)) return 0
  let removed = 0
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = relative(dataDir, join(entry.parentPath, entry.name))
    const part = path.replace(/\.(\d+\.f32|parquet)$/, "")
    if (named.has(path) || named.has(part)) continue
    await rm(join(dataDir, path), { force: true })
    removed++
  }
  return removed
}

/** Everything of one collection, once nothing names it. */
export async function removeCollectionFiles(
  dataDir: string,
  orgId: string,
  namespaceId: string,
  collectionId: string,
): Promise<void> {
  await rm(join(dataDir, "documents", orgId, namespaceId, collectionId), { recursive: true, force: true })
}
