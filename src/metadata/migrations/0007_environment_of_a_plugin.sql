-- What a plugin runs in, JSON, decided when it was confirmed; null: the base environment of the appliance's own Python.
ALTER TABLE plugins ADD COLUMN environment TEXT;
-- Hash of what a revision ran in; null as above.
ALTER TABLE revisions ADD COLUMN environment_hash TEXT;
