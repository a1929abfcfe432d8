-- How many of its objects were deleted: who has read some of them asks whether they are all there only where this has moved.
ALTER TABLE buckets ADD COLUMN removals INTEGER NOT NULL DEFAULT 0;
