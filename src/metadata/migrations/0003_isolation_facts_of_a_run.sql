-- What was behind the isolation level that a run's plugin code ran in, as JSON; NULL for runs before this was recorded.
ALTER TABLE batch_runs ADD COLUMN isolation_facts TEXT;
