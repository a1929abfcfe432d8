-- Failed rows of a batch run again in the same batch. A partition of retry 0 is a range of ordinals, whole; one of a later retry is
-- those rows of its range that are open in `retried_rows` under its number. `rows_in` counts the rows that it was given.
ALTER TABLE batches ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN rows_in INTEGER NOT NULL DEFAULT 0;
UPDATE partitions SET rows_in = end_ordinal - first_ordinal;

-- Rows that were, or are, run again. While `open_in` is a retry's number the row counts as open, and its row error waits: a success
-- takes it away, a failure replaces it, and a retry that ends early leaves it as it was.
CREATE TABLE retried_rows (
  batch_id TEXT NOT NULL,
  collection_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  open_in INTEGER,
  retries INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (batch_id, collection_id, ordinal)
) STRICT, WITHOUT ROWID;

-- The code that a row failed in. Errors of before this was recorded failed in the code of their run.
ALTER TABLE row_errors ADD COLUMN plugin_version TEXT;
ALTER TABLE row_errors ADD COLUMN code_hash TEXT;
-- Of the row as the plugin was given it; NULL when it was given none.
ALTER TABLE row_errors ADD COLUMN input_bytes INTEGER;
UPDATE row_errors SET plugin_version = r.plugin_version, code_hash = r.code_hash
  FROM batch_runs r WHERE r.batch_id = row_errors.batch_id AND r.collection_id = row_errors.collection_id;

-- Apart from the errors, so that these are counted and listed without walking over megabytes.
CREATE TABLE row_inputs (
  batch_id TEXT NOT NULL,
  collection_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  input TEXT NOT NULL,
  PRIMARY KEY (batch_id, collection_id, ordinal)
) STRICT;

-- Rows a step is given at once, at most, in a partition whose worker ran out of memory with more; NULL: as many as the step takes.
ALTER TABLE partitions ADD COLUMN batch_rows INTEGER;
-- 1: its rows were one call during which a worker died; they run one by one, so that the next death names the row.
ALTER TABLE partitions ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0;
-- What worked after a worker ran out of `memory_bytes` with more rows at once.
CREATE TABLE batch_sizes (
  namespace_id TEXT NOT NULL,
  plugin_id TEXT NOT NULL,
  code_hash TEXT NOT NULL,
  batch_rows INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL,
  learned_at TEXT NOT NULL,
  PRIMARY KEY (namespace_id, plugin_id, code_hash)
) STRICT, WITHOUT ROWID;
