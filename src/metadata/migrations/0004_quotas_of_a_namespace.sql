-- A namespace's own quotas as JSON; a key that is absent takes the server's setting.
ALTER TABLE namespaces ADD COLUMN quotas TEXT;
