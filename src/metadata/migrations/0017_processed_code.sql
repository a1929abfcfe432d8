-- In which code a version of a collection's plugin last ran. It has replaced what other code under the same number made, so that
-- nobody may count on what that had processed. `code` is the fingerprint without a filter.
CREATE TABLE processed_code (
  collection_id TEXT NOT NULL REFERENCES collections,
  plugin_id TEXT NOT NULL,
  code TEXT NOT NULL,
  PRIMARY KEY (collection_id, plugin_id)
) STRICT, WITHOUT ROWID;
