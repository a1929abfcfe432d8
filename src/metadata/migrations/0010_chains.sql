-- Collections that read collections. A source that was deleted stays named here: what reads it says so.
CREATE TABLE collection_sources (
  collection_id TEXT NOT NULL REFERENCES collections,
  source_collection_id TEXT NOT NULL,
  PRIMARY KEY (collection_id, source_collection_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX collection_sources_source ON collection_sources (source_collection_id);

ALTER TABLE batches ADD COLUMN type TEXT NOT NULL DEFAULT 'BUCKET' CHECK (type IN ('BUCKET', 'COLLECTION'));

-- `source` is null for a run over the batch's objects, else JSON: {collection_ids, filters}, fixed at submit.
ALTER TABLE batch_runs ADD COLUMN tier INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batch_runs ADD COLUMN source TEXT;
ALTER TABLE batch_runs ADD COLUMN task_id TEXT;

-- What a run over documents reads: an ordinal is a place in these parts, one after another. A part may be gone by now.
CREATE TABLE run_sources (
  batch_id TEXT NOT NULL,
  collection_id TEXT NOT NULL,
  first_ordinal INTEGER NOT NULL,
  part_id TEXT NOT NULL,
  document_rows INTEGER NOT NULL,
  PRIMARY KEY (batch_id, collection_id, first_ordinal),
  FOREIGN KEY (batch_id, collection_id) REFERENCES batch_runs
) STRICT, WITHOUT ROWID;

-- The source document of a row that failed, where its source is a collection.
ALTER TABLE row_errors ADD COLUMN source_document_id TEXT;
