export interface ArchiveLimits {
  /** Size of the archive file. */
  readonly packedBytes: number
  /** Bytes of all entries together, counted while they come out. */
  readonly unpackedBytes: number
  /** Entries, folders and skipped ones included. */
  readonly files: number
  /** Parts of a path. */
  readonly depth: number
  /** Unpacked to packed bytes. */
  readonly ratio: number
  /** UTF-8 bytes of a path. */
  readonly pathBytes: number
}

/** 500 MB packed and unpacked and 1000 files are the public documentation's; the others keep out what no plugin needs. */
export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  packedBytes: 500_000_000,
  unpackedBytes: 500_000_000,
  files: 1000,
  depth: 16,
  ratio: 200,
  pathBytes: 255,
}
