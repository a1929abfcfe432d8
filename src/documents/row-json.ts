/**
 * A document as the row that a plugin reads and as the lineage beside it, both as text made in SQL: the same filling
 * rules as for objects (batches/inputs.ts), over the document's fields, its vectors, and the files of its root object.
 */
import { quote } from "./database.ts"
import { fieldAt } from "./fields.ts"
import type { Parameters } from "./parameters.ts"
import type { RowPlan } from "./protocol.ts"

type Input = RowPlan["inputs"][number]

/** SQL over the columns `document_id, object_id, collection_id, plugin_id, created_at, fields, source, ordinal`. */
export interface RowSql {
  /** Columns to be computed first, from those above. */
  readonly values: readonly string[]
  /** Then these, from the first ones too. */
  readonly primary: readonly string[]
  /** Then `problem`, `line` and `lineage`. `problem` is null for a row that can be asked. */
  readonly texts: readonly string[]
}

/** `vectorOf` answers the SQL of a vector as JSON text by its name; null for what is no vector. */
export function rowSql(plan: RowPlan, vectorOf: (name: string) => string | null, parameters: Parameters): RowSql {
  const text = (value: string) => parameters.text(value)
  const inputs: readonly Input[] = plan.inputs.length > 0 ? plan.inputs : TEXT_ALONE
  const own = (input: Input) => {
    if (input.literal !== undefined) return text(JSON.stringify(input.literal))
    const path = input.path ?? input.name
    const vector = vectorOf(path)
    const field = fieldJson(path, parameters)
    return vector === null ? field : `coalesce(${field}, ${vector})`
  }
  const blobs = "CAST(json_extract(source, '/blobs') AS JSON[])"
  const firstBlob = (condition: string) =>
    `list_filter(${blobs}, lambda blob: json_extract_string(blob, '/url') IS NOT NULL AND ${condition})[1]`
  const byProperty = (property: string) => firstBlob(`json_extract_string(blob, '/property') = ${text(property)}`)
  const byType = (patterns: readonly string[]) =>
    firstBlob(
      `(${patterns.map((pattern) => `regexp_matches(coalesce(${mimeOf("blob", plan)}, ''), ${text(pattern)})`).join(" OR ")})`,
    )
  const fitting = plan.mime_patterns.length === 0 ? null : byType(plan.mime_patterns)
  const blobFor = (input: Input): string => {
    if (input.literal !== undefined) return "NULL"
    if (input.path !== null) return byProperty(input.path)
    const ways = [byProperty(input.name)]
    if (input.mime_pattern !== null) ways.push(byType([input.mime_pattern]))
    else if (plan.inputs.length === 1 && fitting !== null) ways.push(fitting)
    return `coalesce(${ways.join(", ")})`
  }

  const chosen = inputs.map((_, index) => ({ blob: `blob_${index}`, value: `value_${index}` }))
  const choose = (then: (place: Place, kind: "blob" | "text") => string, otherwise: string) => {
    const whens = chosen
      .filter((_, index) => inputs[index]?.literal === undefined)
      .map(
        (place) =>
          `WHEN ${place.blob} IS NOT NULL THEN ${then(place, "blob")}
           WHEN starts_with(${place.value}, '"') THEN ${then(place, "text")}`,
      )
    return whens.length === 0 ? otherwise : `CASE ${whens.join(" ")} ELSE ${otherwise} END`
  }

  const passed = plan.passthrough.map((entry, index) => ({ ...entry, value: `passed_${index}` }))
  const problem = passed
    .filter((entry) => entry.required)
    .map(
      ({ value, source_path: path }) =>
        `WHEN ${value} IS NULL THEN ${text(`The document has no '${path}', which field_passthrough requires.`)}`,
    )

  return {
    values: [
      `${MINIFIED} AS plain`,
      "json_extract(source, '/chain')::VARCHAR AS chain",
      ...inputs.map((input, index) => `${own(input)} AS value_${index}`),
      ...inputs.map((input, index) => `CASE WHEN value_${index} IS NULL THEN ${blobFor(input)} END AS blob_${index}`),
      ...passed.map(
        ({ source_path: path, default: fallback }, index) =>
          `coalesce(${fieldJson(path, parameters)}, json_extract(${byProperty(path)}, '/url')::VARCHAR${
            fallback === undefined || fallback === null ? "" : `, ${text(JSON.stringify(fallback))}`
          }) AS passed_${index}`,
      ),
    ],
    primary: [
      `${choose((place, kind) => (kind === "blob" ? place.blob : "NULL"), `coalesce(${[...(fitting === null ? [] : [fitting]), firstBlob("true")].join(", ")})`)} AS primary_blob`,
      `${choose((place, kind) => (kind === "text" ? place.value : "NULL"), "NULL")} AS primary_text`,
    ],
    texts: [
      `${problem.length === 0 ? "NULL" : `CASE ${problem.join(" ")} END`} AS problem`,
      `${rowText(plan, inputs, text)} AS line`,
      `${lineageText(plan, passed, text)} AS lineage`,
    ],
  }
}

/** Columns of one input: the value that the document has for it, and the file that stands in its place. */
interface Place {
  readonly blob: string
  readonly value: string
}

/** A plugin that declares no input reads `data`: a text of the document, if it has one by that name. */
const TEXT_ALONE: readonly Input[] = [{ name: "text", path: null, fallback: null, mime_pattern: null }]

/** Neither a line nor a column of one must be broken by what a plugin may have put between its JSON's tokens. */
const MINIFIED = `CASE WHEN ${[9, 10, 13].map((space) => `contains(fields, chr(${space}))`).join(" OR ")}
    THEN json(fields)::VARCHAR ELSE fields END`

/** As JSON text; NULL where it is absent or null. */
function fieldJson(path: string, parameters: Parameters): string {
  const field = fieldAt(path, parameters)
  return field.kind === "text" ? `to_json(${field.sql})::VARCHAR` : `nullif((${field.sql})::VARCHAR, 'null')`
}

const key = (name: string) => quote(`${JSON.stringify(name)}:`)
const blobText = (path: string) => `coalesce(json_extract(primary_blob, '${path}')::VARCHAR, 'null')`

/** As the bytes or the sender said, else as the blob's type does (batches/inputs.ts). */
function mimeOf(blob: string, { mime_of_type: ofType }: RowPlan): string {
  const said = `json_extract_string(${blob}, '/details/mime_type')`
  const types = Object.entries(ofType).map(([type, mime]) => `WHEN ${quote(type)} THEN ${quote(mime)}`)
  const byType = types.length === 0 ? "NULL" : `CASE json_extract_string(${blob}, '/type') ${types.join(" ")} END`
  return `coalesce(nullif(${said}, 'application/octet-stream'), ${byType}, ${said})`
}

/** The document's fields, and over them what the appliance says: of two equal keys the worker's readers take the last. */
function rowText(plan: RowPlan, inputs: readonly Input[], text: (value: string) => string): string {
  const members: [name: string, sql: string][] = [
    ...plan.inputs.map((input): [string, string] => {
      const place = inputs.indexOf(input)
      const fallback =
        input.fallback === undefined || input.fallback === null ? "'null'" : text(JSON.stringify(input.fallback))
      return [input.name, `coalesce(value_${place}, json_extract(blob_${place}, '/url')::VARCHAR, ${fallback})`]
    }),
    ["__row", "ordinal::VARCHAR"],
    ["document_id", quoted(documentIdSql(plan, "document_id", "'0'", text))],
    ["object_id", quoted("object_id")],
    ["collection_id", `to_json(${text(plan.collection_id)})::VARCHAR`],
    ["feature_extractor_id", `to_json(${text(plan.plugin_id)})::VARCHAR`],
    ["blob_id", blobText("/blob_id")],
    ["blob_property", blobText("/property")],
    ["blob_type", `CASE WHEN primary_text IS NULL THEN ${blobText("/type")} ELSE '"text"' END`],
    [
      "mime_type",
      `CASE WHEN primary_text IS NULL THEN coalesce(to_json(${mimeOf("primary_blob", plan)})::VARCHAR, 'null') ELSE '"text/plain"' END`,
    ],
    ["size_bytes", `coalesce(nullif(json_extract(primary_blob, '/details/size_bytes')::VARCHAR, 'null'), '0')`],
    ["data", `coalesce(primary_text, ${blobText("/url")})`],
    ["source_url", blobText("/url")],
  ]
  const over = members.map(([name, sql], index) => `${index === 0 ? "" : "',' || "}${key(name)} || ${sql}`).join(" || ")
  return `${opened("plain")} || ${over} || '}'`
}

function lineageText(
  plan: RowPlan,
  passed: readonly (RowPlan["passthrough"][number] & { value: string })[],
  text: (value: string) => string,
): string {
  // With a comma behind each, also behind those of `others`; what is missing is left out.
  const members = passed.map(({ target_path: target, value }) => `coalesce(${key(target)} || ${value} || ',', '')`)
  // Bound only where it is used: a statement has no parameter too many.
  const others = () => `array_to_string(list_transform(
    list_filter(json_keys(plain), lambda name: NOT list_contains([${plan.named.map(text).join(", ")}], name)),
    lambda name: to_json(name)::VARCHAR || ':'
      || json_extract(plain, '/' || replace(replace(name, '~', '~0'), '/', '~1'))::VARCHAR || ','), '')`
  const passthrough = !plan.include_all_source_fields
    ? passed.length === 0
      ? "'{}'"
      : `'{' || rtrim(${members.join(" || ")}, ',') || '}'`
    : passed.length === 0
      ? "plain"
      : `'{' || rtrim(${[others(), ...members].join(" || ")}, ',') || '}'`
  const member = (name: string, sql: string) => `'"${name}":' || ${sql}`
  const kept = (name: string, absent: string) =>
    member(name, `coalesce(json_extract(source, '/${name}')::VARCHAR, '${absent}')`)
  const step = `'{' || ${[
    member("collection_id", quoted("collection_id")),
    member("feature_extractor_id", quoted("plugin_id")),
    member("document_id", quoted("document_id")),
    member("timestamp", quoted("created_at")),
  ].join(" || ',' || ")} || '}'`
  const own = [
    member("document_id", quoted("document_id")),
    member("collection_id", quoted("collection_id")),
    `'"chain":' || coalesce(left(chain, length(chain) - 1) || ',', '[') || ${step} || ']'`,
  ].join(" || ',' || ")
  const root = [kept("bucket_id", "null"), kept("key_prefix", "null"), kept("blobs", "[]")].join(" || ',' || ")
  // A document of an object has in its source what is to be kept, and nothing else.
  const source = `CASE WHEN chain IS NULL THEN ${opened("source")} ELSE '{' || ${root} || ',' END || ${own} || '}'`
  // As `lineageLine`.
  return `concat_ws(chr(9), ordinal, object_id, document_id, ${passthrough}, ${source})`
}

/** Of an id or time that the appliance made: nothing in it is to be escaped. */
function quoted(sql: string): string {
  return `'"' || ${sql} || '"'`
}

/** What makes a document what it is (batches/document-id.ts computes the same). */
export function documentIdSql(
  identity: { readonly collection_id: string; readonly plugin_version: string; readonly code_hash: string },
  sourceId: string,
  outputIndex: string,
  text: (value: string) => string,
): string {
  const { collection_id: collection, plugin_version: version, code_hash: code } = identity
  return `'doc_' || substr(sha256(concat_ws(chr(10), ${text(collection)}, ${sourceId}, ${text(version)}, ${text(code)}, ${outputIndex})), 1, 24)`
}

/** An object's text without its end, ready for another member. */
function opened(object: string): string {
  return `CASE WHEN trim(substr(${object}, 2, length(${object}) - 2), chr(9) || ' ') = '' THEN '{' ELSE left(${object}, length(${object}) - 1) || ',' END`
}
