CREATE TABLE organizations (
  internal_id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL UNIQUE,
  organization_name TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;

-- A removed namespace, bucket or collection is invisible at once (deleted_at) and swept in slices afterwards.
CREATE TABLE namespaces (
  namespace_id TEXT PRIMARY KEY,
  internal_id TEXT NOT NULL REFERENCES organizations,
  namespace_name TEXT NOT NULL,
  description TEXT,
  feature_extractors TEXT NOT NULL DEFAULT '[]',
  payload_indexes TEXT,
  auto_create_indexes INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  deleted_at TEXT
) STRICT;
CREATE UNIQUE INDEX namespaces_name ON namespaces (internal_id, namespace_name) WHERE deleted_at IS NULL;

CREATE TABLE api_keys (
  key_id TEXT PRIMARY KEY,
  internal_id TEXT NOT NULL REFERENCES organizations,
  user_email TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  key_hash TEXT NOT NULL UNIQUE,
  key_prefix TEXT NOT NULL,
  permissions TEXT NOT NULL,
  scopes TEXT NOT NULL DEFAULT '[]',
  rate_limit_override INTEGER,
  status TEXT NOT NULL CHECK (status IN ('active', 'revoked')),
  expires_at TEXT,
  last_used_at TEXT,
  created_at TEXT NOT NULL,
  created_by TEXT,
  revoked_at TEXT,
  revoked_by TEXT
) STRICT;
CREATE UNIQUE INDEX api_keys_name ON api_keys (internal_id, user_email, name) WHERE status = 'active';

-- The answer of a create route, written in the transaction that created the thing.
CREATE TABLE idempotency_keys (
  internal_id TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BLOB NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (internal_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE plugin_uploads (
  upload_id TEXT PRIMARY KEY,
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  description TEXT,
  file_size_bytes INTEGER,
  expires_at TEXT NOT NULL,
  answer TEXT,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX plugin_uploads_namespace ON plugin_uploads (namespace_id);
CREATE INDEX plugin_uploads_open ON plugin_uploads (expires_at) WHERE answer IS NULL;

CREATE TABLE plugins (
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  plugin_id TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  description TEXT,
  code_hash TEXT NOT NULL,
  archive_file TEXT NOT NULL,
  archive_bytes INTEGER NOT NULL,
  rule_set TEXT NOT NULL,
  warnings TEXT NOT NULL,
  manifest TEXT NOT NULL,
  has_realtime INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (namespace_id, plugin_id)
) STRICT;

CREATE TABLE buckets (
  bucket_id TEXT PRIMARY KEY,
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  bucket_name TEXT NOT NULL,
  description TEXT,
  bucket_schema TEXT NOT NULL,
  unique_key TEXT,
  metadata TEXT NOT NULL DEFAULT '{}',
  object_count INTEGER NOT NULL DEFAULT 0,
  total_size_bytes INTEGER NOT NULL DEFAULT 0,
  last_upload_at TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  deleted_at TEXT,
  removal_task_id TEXT,
  swept_at TEXT
) STRICT;
CREATE UNIQUE INDEX buckets_name ON buckets (namespace_id, bucket_name) WHERE deleted_at IS NULL;

-- `seq` is the order of arrival: batches fix their membership by it.
CREATE TABLE objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  object_id TEXT NOT NULL UNIQUE,
  bucket_id TEXT NOT NULL REFERENCES buckets,
  key_prefix TEXT,
  fields TEXT NOT NULL,
  blobs TEXT NOT NULL,
  unique_value TEXT,
  content_hash TEXT,
  size_bytes INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'DRAFT',
  error TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX objects_bucket ON objects (bucket_id, seq);
CREATE UNIQUE INDEX objects_unique ON objects (bucket_id, unique_value) WHERE unique_value IS NOT NULL;
CREATE INDEX objects_content ON objects (bucket_id, content_hash) WHERE content_hash IS NOT NULL;

-- Which objects hold which content-addressed file; a file without a row is swept.
CREATE TABLE object_files (
  bucket_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  object_id TEXT NOT NULL,
  PRIMARY KEY (bucket_id, sha256, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_files_object ON object_files (object_id);

CREATE TABLE bucket_uploads (
  upload_id TEXT PRIMARY KEY,
  bucket_id TEXT NOT NULL REFERENCES buckets,
  filename TEXT NOT NULL,
  content_type TEXT NOT NULL,
  file_size_bytes INTEGER,
  presigned_url_expiration INTEGER NOT NULL,
  metadata TEXT NOT NULL DEFAULT '{}',
  create_object_on_confirm INTEGER NOT NULL,
  object_metadata TEXT,
  blob_property TEXT NOT NULL,
  blob_type TEXT NOT NULL,
  file_hash TEXT,
  skip_duplicates INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
  etag TEXT,
  received_bytes INTEGER,
  sha256 TEXT,
  object_id TEXT,
  message TEXT,
  expires_at TEXT NOT NULL,
  created_at TEXT NOT NULL,
  completed_at TEXT
) STRICT;
CREATE INDEX bucket_uploads_bucket ON bucket_uploads (bucket_id, created_at);
CREATE INDEX bucket_uploads_content ON bucket_uploads (bucket_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX bucket_uploads_waiting ON bucket_uploads (expires_at) WHERE status = 'PENDING';

CREATE TABLE collections (
  collection_id TEXT PRIMARY KEY,
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  collection_name TEXT NOT NULL,
  description TEXT,
  source TEXT NOT NULL,
  feature_extractor TEXT NOT NULL,
  plugin_id TEXT NOT NULL,
  input_schema TEXT NOT NULL,
  output_schema TEXT NOT NULL,
  vector_indexes TEXT NOT NULL,
  enabled INTEGER NOT NULL DEFAULT 1,
  metadata TEXT,
  applications TEXT NOT NULL DEFAULT '{}',
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  deleted_at TEXT
) STRICT;
CREATE UNIQUE INDEX collections_name ON collections (namespace_id, collection_name) WHERE deleted_at IS NULL;

CREATE TABLE collection_buckets (
  collection_id TEXT NOT NULL REFERENCES collections,
  bucket_id TEXT NOT NULL REFERENCES buckets,
  PRIMARY KEY (collection_id, bucket_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX collection_buckets_bucket ON collection_buckets (bucket_id);

CREATE TABLE tasks (
  task_id TEXT PRIMARY KEY,
  internal_id TEXT NOT NULL,
  namespace_id TEXT,
  task_type TEXT NOT NULL,
  status TEXT NOT NULL,
  inputs TEXT NOT NULL DEFAULT '[]',
  outputs TEXT NOT NULL DEFAULT '[]',
  additional_data TEXT NOT NULL DEFAULT '{}',
  error TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX tasks_organization ON tasks (internal_id, created_at);

-- The ledger. `membership` is explicit (batch_objects is all there is) or bucket (all objects with seq <= membership_end,
-- written in slices after submit; membership_next is where the next slice starts).
CREATE TABLE batches (
  batch_id TEXT PRIMARY KEY,
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  bucket_id TEXT NOT NULL REFERENCES buckets,
  batch_name TEXT,
  status TEXT NOT NULL,
  membership TEXT NOT NULL CHECK (membership IN ('explicit', 'bucket')),
  membership_filters TEXT,
  membership_limit INTEGER,
  membership_next INTEGER NOT NULL DEFAULT 0,
  membership_end INTEGER,
  object_count INTEGER NOT NULL DEFAULT 0,
  collection_ids TEXT,
  metadata TEXT NOT NULL DEFAULT '{}',
  lifecycle_reason TEXT,
  error TEXT,
  task_id TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  submitted_at TEXT,
  finished_at TEXT
) STRICT;
CREATE INDEX batches_bucket ON batches (bucket_id, created_at);
CREATE INDEX batches_live ON batches (status) WHERE status IN ('QUEUED', 'PENDING', 'IN_PROGRESS');

CREATE TABLE batch_objects (
  batch_id TEXT NOT NULL REFERENCES batches,
  ordinal INTEGER NOT NULL,
  object_id TEXT NOT NULL,
  PRIMARY KEY (batch_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX batch_objects_once ON batch_objects (batch_id, object_id);

-- One collection's share of a batch, fixed at submit. in = done + failed + skipped once its status is terminal.
CREATE TABLE batch_runs (
  batch_id TEXT NOT NULL REFERENCES batches,
  collection_id TEXT NOT NULL REFERENCES collections,
  plugin_id TEXT NOT NULL,
  plugin_version TEXT NOT NULL,
  code_hash TEXT NOT NULL,
  environment TEXT,
  isolation TEXT,
  feature_extractor TEXT NOT NULL,
  status TEXT NOT NULL,
  rows_in INTEGER NOT NULL DEFAULT 0,
  rows_done INTEGER NOT NULL DEFAULT 0,
  rows_failed INTEGER NOT NULL DEFAULT 0,
  rows_skipped INTEGER NOT NULL DEFAULT 0,
  documents_written INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  started_at TEXT,
  finished_at TEXT,
  PRIMARY KEY (batch_id, collection_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_runs_collection ON batch_runs (collection_id);

-- Ordinals [first_ordinal, end_ordinal) of a batch for one collection. A partition that kills its worker is replaced by its
-- halves (state split), so the live partitions of a run never overlap.
CREATE TABLE partitions (
  partition_id INTEGER PRIMARY KEY AUTOINCREMENT,
  batch_id TEXT NOT NULL,
  collection_id TEXT NOT NULL,
  first_ordinal INTEGER NOT NULL,
  end_ordinal INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'done', 'split', 'canceled')),
  attempt INTEGER NOT NULL DEFAULT 0,
  deaths INTEGER NOT NULL DEFAULT 0,
  rows_done INTEGER NOT NULL DEFAULT 0,
  rows_failed INTEGER NOT NULL DEFAULT 0,
  rows_skipped INTEGER NOT NULL DEFAULT 0,
  leased_at TEXT,
  finished_at TEXT,
  FOREIGN KEY (batch_id, collection_id) REFERENCES batch_runs
) STRICT;
CREATE INDEX partitions_run ON partitions (batch_id, collection_id, first_ordinal);
CREATE INDEX partitions_open ON partitions (state) WHERE state IN ('pending', 'leased');

-- Only a row here makes documents visible. `file` is relative to the data directory, without an ending.
CREATE TABLE parts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  part_id TEXT NOT NULL UNIQUE,
  collection_id TEXT NOT NULL REFERENCES collections,
  batch_id TEXT NOT NULL,
  plugin_id TEXT NOT NULL,
  code_hash TEXT NOT NULL,
  file TEXT NOT NULL,
  features TEXT NOT NULL,
  document_rows INTEGER NOT NULL,
  dead_file TEXT,
  dead_rows INTEGER NOT NULL DEFAULT 0,
  size_bytes INTEGER NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX parts_collection ON parts (collection_id, seq);

CREATE TABLE row_errors (
  batch_id TEXT NOT NULL,
  collection_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  object_id TEXT NOT NULL,
  error_type TEXT NOT NULL,
  exception TEXT NOT NULL,
  message TEXT NOT NULL,
  traceback TEXT,
  stage TEXT,
  attempt INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (batch_id, collection_id, ordinal)
) STRICT, WITHOUT ROWID;

-- Children that a killed appliance may have left; ended at the next start by pid and start time.
CREATE TABLE processes (
  pid INTEGER NOT NULL,
  start_time TEXT NOT NULL,
  kind TEXT NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (pid, start_time)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
