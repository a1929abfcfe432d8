import { existsSync } from "node:fs"
import { readdir, rm, stat } from "node:fs/promises"
import { join, relative } from "node:path"

/**
 * Removes files below `<dataDir>/documents` that no row names: what a kill between rename and commit left, parts whose
 * every row was superseded, deleted collections. `named` are part files (without ending) and dead files, relative to the
 * data directory. Files that were written less than `minAgeMs` ago are left: at work, a part has its name before its row,
 * and a query may still read what was superseded since it began. Answers how many were removed.
 */
export async function sweepDocumentFiles(
  dataDir: string,
  named: ReadonlySet<string>,
  minAgeMs: number,
): Promise<number> {
  const root = join(dataDir, "documents")
  if (!existsSync(root)) return 0
  let removed = 0
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const path = relative(dataDir, file)
    if (named.has(path) || named.has(path.replace(/\.(\d+\.f32|parquet)$/, ""))) continue
    if (minAgeMs > 0) {
      const written = await stat(file).catch(() => null)
      if (written === null || Date.now() - written.mtimeMs < minAgeMs) continue
    }
    await rm(file, { force: true })
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
