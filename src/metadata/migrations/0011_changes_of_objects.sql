-- Incremental processing. Every write of an object takes the next number of one counter, in the order of the transactions.
ALTER TABLE objects ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
UPDATE objects SET change = seq;
CREATE INDEX objects_change ON objects (bucket_id, change);
CREATE TABLE object_changes (
  last INTEGER NOT NULL
) STRICT;
INSERT INTO object_changes SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'objects'), 0);

-- Set: the members are the objects with changes_after < change <= membership_end, in that order, in place of seq.
ALTER TABLE batches ADD COLUMN changes_after INTEGER;
-- A run that ends well has processed all changes of its bucket in (changes_after, changes_end]; NULL end: it proves nothing.
ALTER TABLE batch_runs ADD COLUMN fingerprint TEXT;
ALTER TABLE batch_runs ADD COLUMN changes_after INTEGER;
ALTER TABLE batch_runs ADD COLUMN changes_end INTEGER;
CREATE INDEX batch_runs_changes ON batch_runs (collection_id, fingerprint, changes_end) WHERE changes_end IS NOT NULL;

-- What one code with one configuration has processed of a bucket for a collection: the changes in (since, change]. since is
-- above 0 where another version did what is before. filtered: of the objects that one filter lets pass.
CREATE TABLE processed_changes (
  collection_id TEXT NOT NULL REFERENCES collections,
  bucket_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  plugin_id TEXT NOT NULL,
  filtered INTEGER NOT NULL,
  since INTEGER NOT NULL,
  change INTEGER NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (collection_id, bucket_id, fingerprint)
) STRICT, WITHOUT ROWID;
