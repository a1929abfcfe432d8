/**
 * SQL that names a value and uses it more than once. DuckDB would evaluate it at each place otherwise, and a document's
 * JSON is read whole for every value of it: it joins no subexpressions inside CASE and AND, and pushes those that a
 * subquery names back into the places where they are used.
 */
export function letting(name: string, value: string, body: string): string {
  return `(list_transform([${value}], lambda ${name}: ${body})[1])`
}
