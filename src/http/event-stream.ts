/** Server-sent events of something that is followed, until it ends or the client goes away. */
import type { Context } from "hono"
import { streamSSE } from "hono/streaming"
import type { Followed } from "../batches/events.ts"
import type { HttpEnv } from "./app.ts"

/** After which a client that lost the connection asks again; the first event is then the state of that moment. */
const RETRY_MS = 2_000

/** `follow` is called at once, so that what it throws is still an answer. The answer's type is none that a JSON route knows. */
export function eventStream(c: Context<HttpEnv>, follow: (signal: AbortSignal) => AsyncIterable<Followed>): never {
  const gone = new AbortController()
  const signal = AbortSignal.any([gone.signal, c.req.raw.signal])
  const followed = follow(signal)
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => gone.abort())
    let id = 0
    for await (const each of followed) {
      if (each === null) await stream.write(": heartbeat\n\n")
      else {
        const { event, batch } = each
        await stream.writeSSE({ event, data: JSON.stringify(batch), id: String(++id), retry: RETRY_MS })
      }
    }
  }) as never
}
