/** In which code a version of a collection's plugin last ran. */
import type { Db } from "./open.ts"

interface CodeKey {
  readonly collectionId: string
  readonly pluginId: string
  /** Of the code and its configuration. */
  readonly code: string
  readonly codeHash: string
}

export function processedCodeWriter(db: Db) {
  const last = db.prepare<CodeKey, { code: string }>(
    "SELECT code FROM processed_code WHERE collection_id = @collectionId AND plugin_id = @pluginId",
  )
  const enter = db.prepare<CodeKey>(
    `INSERT INTO processed_code (collection_id, plugin_id, code) VALUES (@collectionId, @pluginId, @code)
     ON CONFLICT DO UPDATE SET code = excluded.code`,
  )
  const disclaim = [
    // Its own mark may be there already: carried over from the version that the collection was moved from.
    `DELETE FROM processed_changes
     WHERE collection_id = @collectionId AND plugin_id = @pluginId AND fingerprint <> @code`,
    "DELETE FROM processed_parts WHERE collection_id = @collectionId AND plugin_id = @pluginId AND code <> @code",
    `UPDATE batch_runs SET fingerprint = NULL, changes_end = NULL
     WHERE collection_id = @collectionId AND plugin_id = @pluginId AND code_hash <> @codeHash`,
  ].map((sql) => db.prepare<CodeKey>(sql))
  return {
    /** Rows are to run in it: what other code of the version had processed, or would have at the end of a retry, counts no more. */
    enter(key: CodeKey) {
      if (last.get(key)?.code === key.code) return
      for (const statement of disclaim) statement.run(key)
      enter.run(key)
    },
  }
}
