/** What a worker left word of: the rows of the call that it died in. Plugin code may have written it: a hint, bounded, no more. */
import { open } from "node:fs/promises"
import { join } from "node:path"

/** Mirror of plugin_worker/call_mark.py. */
const NAME = "call"
const BYTES = 32

export interface CallMark {
  /** Ordinals of its first and last row. */
  readonly first: number
  readonly last: number
  readonly rows: number
  /** Of this step in this partition, itself included. */
  readonly calls: number
}

/** Of one partition's worker; stays readable when its directory is gone, as those of a dead worker soon are. */
export interface OpenCallMark extends AsyncDisposable {
  /** Null when no call was under way, or nothing plausible tells of it. */
  read(): Promise<CallMark | null>
}

/** Makes the file that the worker writes in, before the worker is told of `output`. */
export async function openCallMark(output: string): Promise<OpenCallMark> {
  const file = await open(join(output, NAME), "wx+", 0o600)
  return {
    async read() {
      try {
        const { bytesRead, buffer } = await file.read(new Uint8Array(BYTES), 0, BYTES, 0)
        if (bytesRead !== BYTES) return null
        const view = new DataView(buffer.buffer)
        const [first = 0, last = 0, rows = 0, calls = 0] = [0, 8, 16, 24].map((at) =>
          Number(view.getBigUint64(at, true)),
        )
        const whole = [first, last, rows, calls].every(Number.isSafeInteger)
        return whole && calls > 0 && rows > 0 && first <= last ? { first, last, rows, calls } : null
      } catch {
        // A file that cannot be read tells nothing, and what it would have told is found by halving.
        return null
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}
