-- What a suspended batch goes back to, what its failures do to it (JSON; null: nothing), and how it is scheduled.
ALTER TABLE batches ADD COLUMN suspended_from TEXT;
ALTER TABLE batches ADD COLUMN failure_policy TEXT;
ALTER TABLE batches ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- Partitions at a time; null: as many as there are slots.
ALTER TABLE batches ADD COLUMN max_concurrency INTEGER;
DROP INDEX batches_live;
CREATE INDEX batches_live ON batches (status) WHERE status IN ('QUEUED', 'PENDING', 'IN_PROGRESS', 'SUSPENDED');
CREATE INDEX batches_namespace ON batches (namespace_id, created_at);

-- The next partition of a batch is one seek, however many wait; what is leased is as few as there are slots.
DROP INDEX partitions_open;
CREATE INDEX partitions_pending ON partitions (batch_id, first_ordinal, partition_id) WHERE state = 'pending';
CREATE INDEX partitions_leased ON partitions (batch_id) WHERE state = 'leased';
CREATE INDEX partitions_open ON partitions (batch_id, collection_id) WHERE state IN ('pending', 'leased');

-- What the steps of a run's plugin did in the partitions that are committed.
CREATE TABLE batch_steps (
  batch_id TEXT NOT NULL,
  collection_id TEXT NOT NULL,
  step_index INTEGER NOT NULL,
  step TEXT NOT NULL,
  rows INTEGER NOT NULL,
  rows_failed INTEGER NOT NULL,
  seconds REAL NOT NULL,
  PRIMARY KEY (batch_id, collection_id, step_index),
  FOREIGN KEY (batch_id, collection_id) REFERENCES batch_runs
) STRICT, WITHOUT ROWID;
