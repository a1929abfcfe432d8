/**
 * The one SQLite database. Readers are plain functions; writers exist only inside `transact`, which is immediate and
 * synchronous: no I/O inside, side effects after. WAL with synchronous=FULL: what was answered survives a power cut.
 */
import Database from "better-sqlite3"
import { apiKeyReader, apiKeyWriter } from "./api-keys.ts"
import { batchSizeReader, batchSizeWriter } from "./batch-sizes.ts"
import { batchReader, batchWriter } from "./batches.ts"
import { bucketUploadReader, bucketUploadWriter } from "./bucket-uploads.ts"
import { bucketReader, bucketWriter } from "./buckets.ts"
import { collectionReader, collectionWriter } from "./collections.ts"
import { deploymentReader, deploymentWriter } from "./deployments.ts"
import { idempotencyReader, idempotencyWriter } from "./idempotency.ts"
import { migrate } from "./migrate.ts"
import { objectReader, objectWriter } from "./objects.ts"
import { organizationReader, organizationWriter } from "./organizations.ts"
import { partitionRowReader } from "./partition-rows.ts"
import { partitionReader, partitionWriter } from "./partitions.ts"
import { partReader, partWriter } from "./parts.ts"
import { pluginReader, pluginWriter } from "./plugins.ts"
import { processedChangesReader, processedChangesWriter } from "./processed-changes.ts"
import { processedCodeWriter } from "./processed-code.ts"
import { processedPartsReader, processedPartsWriter } from "./processed-parts.ts"
import { processReader, processWriter } from "./processes.ts"
import { rowMemory } from "./remembered.ts"
import { rowErrorReader, rowErrorWriter } from "./row-errors.ts"
import { runSourceReader, runSourceWriter } from "./run-sources.ts"
import { taskReader, taskWriter } from "./tasks.ts"

export type Db = Database.Database

const BUSY_TIMEOUT_MS = 5000
/**
 * 8 MiB of page cache, in KiB as SQLite wants it: negative. The ledger's pages are touched in order and the operating
 * system caches the file anyway; a larger cache only makes the server grow with the number of objects.
 */
const CACHE_KIB = -8192

export function openMetadata(path: string, now: () => Date) {
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
  db.pragma("journal_mode = WAL")
  db.pragma("synchronous = FULL")
  db.pragma("foreign_keys = ON")
  db.pragma("trusted_schema = OFF")
  db.pragma(`cache_size = ${CACHE_KIB}`)
  try {
    migrate(db, now)
  } catch (error) {
    db.close()
    throw error
  }
  const dataVersion = db.prepare<[], { data_version: number }>("PRAGMA data_version")
  const memory = rowMemory(() => dataVersion.get()?.data_version ?? 0)
  const read = {
    apiKeys: apiKeyReader(db, memory),
    batches: batchReader(db),
    batchSizes: batchSizeReader(db),
    buckets: bucketReader(db),
    bucketUploads: bucketUploadReader(db),
    collections: collectionReader(db),
    deployments: deploymentReader(db, memory),
    idempotency: idempotencyReader(db),
    objects: objectReader(db),
    organizations: organizationReader(db, memory),
    partitionRows: partitionRowReader(db),
    partitions: partitionReader(db),
    parts: partReader(db),
    plugins: pluginReader(db, memory),
    processedChanges: processedChangesReader(db),
    processedParts: processedPartsReader(db),
    processes: processReader(db),
    rowErrors: rowErrorReader(db),
    runSources: runSourceReader(db),
    tasks: taskReader(db),
  }
  const write = {
    apiKeys: memory.forgetting(apiKeyWriter(db)),
    batches: batchWriter(db),
    batchSizes: batchSizeWriter(db),
    buckets: bucketWriter(db),
    bucketUploads: bucketUploadWriter(db),
    collections: collectionWriter(db),
    deployments: memory.forgetting(deploymentWriter(db)),
    idempotency: idempotencyWriter(db),
    objects: objectWriter(db),
    organizations: memory.forgetting(organizationWriter(db)),
    partitions: partitionWriter(db),
    parts: partWriter(db),
    plugins: memory.forgetting(pluginWriter(db)),
    processedChanges: processedChangesWriter(db),
    processedCode: processedCodeWriter(db),
    processedParts: processedPartsWriter(db),
    processes: processWriter(db),
    rowErrors: rowErrorWriter(db),
    runSources: runSourceWriter(db),
    tasks: taskWriter(db),
  }
  const tx = { read, write }
  return {
    read,
    /** See `Memory.writes`. */
    writes: memory.writes,
    /** Runs `change` in one immediate transaction; it must not be async. @throws what `change` throws, after rolling back */
    transact<T>(change: (transaction: typeof tx) => T): T {
      try {
        return db.transaction(() => change(tx)).immediate()
      } catch (error) {
        // What was read inside may have been rolled back.
        memory.forget()
        throw error
      }
    },
    [Symbol.dispose]() {
      db.close()
    },
  }
}

export type Metadata = ReturnType<typeof openMetadata>
export type Transaction = Parameters<Parameters<Metadata["transact"]>[0]>[0]
