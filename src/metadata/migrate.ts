import type Database from "better-sqlite3"
import initial from "./migrations/0001_initial.sql" with { type: "text" }
import ruleSetOfANamespace from "./migrations/0002_rule_set_of_a_namespace.sql" with { type: "text" }
import isolationFactsOfARun from "./migrations/0003_isolation_facts_of_a_run.sql" with { type: "text" }
import quotasOfANamespace from "./migrations/0004_quotas_of_a_namespace.sql" with { type: "text" }
import egressOfANamespace from "./migrations/0005_egress_of_a_namespace.sql" with { type: "text" }
import realtime from "./migrations/0006_deployments.sql" with { type: "text" }
import environmentOfAPlugin from "./migrations/0007_environment_of_a_plugin.sql" with { type: "text" }
import retriesAndRowInputs from "./migrations/0008_retries_and_row_inputs.sql" with { type: "text" }
import lifeOfABatch from "./migrations/0009_life_of_a_batch.sql" with { type: "text" }
import chains from "./migrations/0010_chains.sql" with { type: "text" }
import changesOfObjects from "./migrations/0011_changes_of_objects.sql" with { type: "text" }
import wholeBucket from "./migrations/0013_whole_bucket.sql" with { type: "text" }
import columnsOfBlobs from "./migrations/0014_columns_of_blobs.sql" with { type: "text" }
import removalsOfObjects from "./migrations/0015_removals_of_objects.sql" with { type: "text" }
import processedParts from "./migrations/0016_processed_parts.sql" with { type: "text" }
import processedCode from "./migrations/0017_processed_code.sql" with { type: "text" }

/** Only ever added to; an applied migration is never edited. */
export const MIGRATIONS: readonly string[] = [
  initial,
  ruleSetOfANamespace,
  isolationFactsOfARun,
  quotasOfANamespace,
  egressOfANamespace,
  realtime,
  environmentOfAPlugin,
  retriesAndRowInputs,
  lifeOfABatch,
  chains,
  changesOfObjects,
  wholeBucket,
  columnsOfBlobs,
  removalsOfObjects,
  processedParts,
  processedCode,
]

/** Brings the schema to this build's version, one transaction a step. @throws when the database is of a newer build */
export function migrate(db: Database.Database, now: () => Date): void {
  const version = Number(db.pragma("user_version", { simple: true }))
  if (version > MIGRATIONS.length) {
    throw new Error(
      `The data directory was written by a newer version (schema ${version}, this build knows ${MIGRATIONS.length}). Start that version.`,
    )
  }
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index < version) continue
    db.transaction(() => {
      db.exec(sql)
      db.pragma(`user_version = ${index + 1}`)
      db.prepare("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)").run(
        `migrated_to_${index + 1}`,
        now().toISOString(),
      )
    }).immediate()
  }
}
