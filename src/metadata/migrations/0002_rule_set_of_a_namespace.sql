-- Rule set that the scan uses for the plugins of a namespace; null takes the server's setting.
ALTER TABLE namespaces ADD COLUMN plugin_rule_set TEXT;
