/** What may stand around a JSON value, in SQL. */
export const JSON_SPACE = "chr(9) || chr(10) || chr(13) || ' '"

/** `own`: nothing is passed through that the fields do not name. `append`: the two name nothing in common. */
export type Merge = "own" | "append" | "any"

/**
 * In SQL over the columns `fields` and `passthrough`: the plugin's fields over what is passed through, key by key at the
 * root: a plugin's null wins, nested objects do not mix. Of the ways that are true of all rows the first is the fastest.
 */
export const MERGED: Readonly<Record<Merge, string>> = {
  own: "fields",
  append:
    "CASE WHEN passthrough = '{}' THEN fields ELSE substr(passthrough, 1, length(passthrough) - 1) || ',' || substr(fields, 2) END",
  any: merged(
    `CASE WHEN starts_with(fields, '{') AND ends_with(fields, '}') THEN fields ELSE trim(fields, ${JSON_SPACE}) END`,
  ),
}

function merged(fields: string): string {
  const own = `(${fields})`
  return `CASE
    WHEN passthrough = '{}' THEN ${own}
    WHEN len(json_keys(fields)) = 0 THEN passthrough
    WHEN list_has_all(json_keys(fields), json_keys(passthrough)) THEN ${own}
    WHEN NOT list_has_any(json_keys(passthrough), json_keys(fields))
      THEN substr(passthrough, 1, length(passthrough) - 1) || ',' || substr(${own}, 2)
    ELSE '{' || concat_ws('', array_to_string(list_transform(
        list_filter(json_keys(passthrough), lambda name: NOT list_contains(json_keys(fields), name)),
        lambda name: to_json(name)::VARCHAR || ':'
          || json_extract(passthrough, '/' || replace(replace(name, '~', '~0'), '/', '~1'))::VARCHAR || ','), ''),
        substr(${own}, 2))
    END`
}
