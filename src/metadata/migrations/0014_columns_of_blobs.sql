-- See stored-blobs.ts. What a worker is given of an object, and what nobody but its reader asks for, leave `blobs`.
ALTER TABLE objects ADD COLUMN blob_kinds TEXT NOT NULL DEFAULT '[]';
ALTER TABLE objects ADD COLUMN blob_values TEXT NOT NULL DEFAULT '[]';
ALTER TABLE objects ADD COLUMN blob_rest TEXT;
UPDATE objects SET
  blob_kinds = (SELECT '[' || group_concat(json_array(value ->> '$.property', value ->> '$.type',
      value ->> '$.details.mime_type', json(iif(value -> '$.url' IS NULL, 'true', 'false'))), ',') || ']'
    FROM json_each(objects.blobs)),
  blob_values = (SELECT '[' || group_concat((value -> '$.blob_id') || ',' || coalesce(value ->> '$.details.size_bytes', 0) || ',' ||
      coalesce(value -> '$.url', value -> '$.data', 'null'), ',') || ']'
    FROM json_each(objects.blobs)),
  blob_rest = (SELECT CASE WHEN count(*) FILTER (WHERE value ->> '$.key_prefix' IS NOT NULL OR value ->> '$.sha256' IS NOT NULL
        OR coalesce(value -> '$.metadata', '{}') <> '{}') > 0
      THEN '[' || group_concat(json_object('key_prefix', value ->> '$.key_prefix', 'metadata', json(coalesce(value -> '$.metadata', '{}')),
        'sha256', value ->> '$.sha256'), ',') || ']' END
    FROM json_each(objects.blobs)),
  blobs = (SELECT '[' || group_concat(json_remove(value, '$.data', '$.key_prefix', '$.metadata', '$.sha256'), ',') || ']'
    FROM json_each(objects.blobs))
WHERE blobs <> '[]';
