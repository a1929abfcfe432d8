-- Which parts of its sources a collection over collections has processed with which code and configuration. Parts never change: a
-- document that does is a new one in a newer part. `code` is the fingerprint without a filter; a part that is gone needs no mark.
CREATE TABLE processed_parts (
  collection_id TEXT NOT NULL REFERENCES collections,
  part_id TEXT NOT NULL REFERENCES parts (part_id) ON DELETE CASCADE,
  fingerprint TEXT NOT NULL,
  code TEXT NOT NULL,
  plugin_id TEXT NOT NULL,
  PRIMARY KEY (collection_id, part_id, fingerprint)
) STRICT, WITHOUT ROWID;
CREATE INDEX processed_parts_part ON processed_parts (part_id);

-- A run over documents that ends well has processed the parts in its run_sources with this code; of runs before this nothing is known.
CREATE INDEX batch_runs_under_way ON batch_runs (collection_id) WHERE finished_at IS NULL;
