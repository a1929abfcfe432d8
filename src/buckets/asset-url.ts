/** The address of a stored file, as plugins get it. */
export function assetUrl(bucketId: string, sha256: string): string {
  return `s3://${bucketId}/${sha256}`
}
