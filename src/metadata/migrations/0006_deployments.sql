-- Realtime. A revision is one attempt to serve a plugin's code; a deployment is what a plugin id answers with. What serves is
-- `live_revision_id`, whatever `status` (the last rollout's) says; `rollout_revision_id` is the one under way.
CREATE TABLE revisions (
  revision_id TEXT PRIMARY KEY,
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  plugin_id TEXT NOT NULL,
  code_hash TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('QUEUED', 'PENDING', 'IN_PROGRESS', 'LIVE', 'DRAINING', 'RETIRED', 'FAILED', 'CANCELED')),
  reason TEXT NOT NULL,
  created_by TEXT NOT NULL,
  error TEXT,
  isolation TEXT,
  isolation_facts TEXT,
  created_at TEXT NOT NULL,
  started_at TEXT,
  live_at TEXT,
  ended_at TEXT
) STRICT;
CREATE INDEX revisions_plugin ON revisions (namespace_id, plugin_id, created_at);

CREATE TABLE deployments (
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  plugin_id TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('QUEUED', 'PENDING', 'IN_PROGRESS', 'DEPLOYED', 'FAILED', 'NOT_DEPLOYED')),
  live_revision_id TEXT REFERENCES revisions,
  previous_revision_id TEXT REFERENCES revisions,
  rollout_revision_id TEXT REFERENCES revisions,
  queued_at TEXT,
  deployed_at TEXT,
  error TEXT,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (namespace_id, plugin_id)
) STRICT, WITHOUT ROWID;

-- Which version a name answers with, and the one before it.
CREATE TABLE deployment_aliases (
  namespace_id TEXT NOT NULL REFERENCES namespaces,
  name TEXT NOT NULL,
  plugin_id TEXT NOT NULL,
  previous_plugin_id TEXT,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (namespace_id, name)
) STRICT, WITHOUT ROWID;
