-- 1: all objects of the bucket that had arrived at submit (seq <= membership_end) are in the batch, and none is listed in batch_objects.
ALTER TABLE batches ADD COLUMN whole_bucket INTEGER NOT NULL DEFAULT 0;
-- Of a partition of such a batch: its objects are those with after_seq < seq <= until_seq, its ordinals their places in that order.
ALTER TABLE partitions ADD COLUMN after_seq INTEGER;
ALTER TABLE partitions ADD COLUMN until_seq INTEGER;
