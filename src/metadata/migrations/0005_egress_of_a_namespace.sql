-- Hosts that plugins of a namespace may reach from steps of resource type API, as JSON; NULL takes the server's setting.
ALTER TABLE namespaces ADD COLUMN egress_allowlist TEXT;
