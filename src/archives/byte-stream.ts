/** Reads exact numbers of bytes from chunks of any size; holds one chunk, and what one `read` asked for. */
export class ByteStream {
  private readonly chunks: AsyncIterator<Uint8Array>
  private rest: Uint8Array = new Uint8Array(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.chunks = source[Symbol.asyncIterator]()
  }

  /** Exactly `size` bytes; null when the stream ends before. */
  async read(size: number): Promise<Buffer | null> {
    const bytes = Buffer.alloc(size)
    let filled = 0
    while (filled < size) {
      const chunk = await this.upTo(size - filled)
      if (chunk === null) return null
      bytes.set(chunk, filled)
      filled += chunk.length
    }
    return bytes
  }

  /** Between 1 and `size` bytes without copying; null at the end of the stream. */
  async upTo(size: number): Promise<Uint8Array | null> {
    while (this.rest.length === 0) {
      const next = await this.chunks.next()
      if (next.done === true) return null
      this.rest = next.value
    }
    const chunk = this.rest.subarray(0, size)
    this.rest = this.rest.subarray(chunk.length)
    return chunk
  }

  async skip(size: number): Promise<void> {
    let left = size
    while (left > 0) {
      const chunk = await this.upTo(left)
      if (chunk === null) return
      left -= chunk.length
    }
  }
}
