/**
 * SHA-256 in hex, at once. A streaming hash object keeps native memory until it is collected: one per row of a batch grew
 * the server by a hundred megabytes between two collections.
 */
export function sha256(text: string): string {
  return Bun.CryptoHasher.hash("sha256", text, "hex")
}
