import { sha256 } from "../sha256.ts"

/**
 * `doc_` and 96 bits of SHA-256 over what makes a document what it is (architecture.md §4): a replay is the same document,
 * a re-uploaded version is not. The documents process computes the same in SQL; a test holds the two together.
 */
export function documentId(
  collectionId: string,
  objectId: string,
  pluginVersion: string,
  codeHash: string,
  outputIndex: number,
): string {
  const parts = [collectionId, objectId, pluginVersion, codeHash, String(outputIndex)].join("\n")
  return `doc_${sha256(parts).slice(0, 24)}`
}
