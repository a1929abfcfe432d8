/** What a handler is given of a request, and how its answer leaves. */
import type { Answer } from "../deployments/endpoint.ts"
import { isRecord } from "../is-record.ts"

/** What the schema speaks of: the inputs of an envelope, or all of it. */
export function inputsOf(request: Record<string, unknown>): Record<string, unknown> {
  const { inputs } = request
  const envelope = isRecord(inputs) && Object.keys(request).every((key) => key === "inputs" || key === "parameters")
  return envelope ? inputs : request
}

const JSON_ANSWER = { "Content-Type": "application/json" }
const EVENTS = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" }

/** The handler's own bytes, or server-sent events. */
export function answerParts({ body, pieces }: Answer) {
  if (pieces === null) return { body: body as Uint8Array<ArrayBuffer>, headers: JSON_ANSWER }
  // Bun takes an async generator for a body; the types do not say so.
  return { body: events(pieces) as unknown as ReadableStream, headers: EVENTS }
}

/** Each piece as it comes; an error in the middle is an event of its own. */
async function* events(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  try {
    for await (const piece of pieces) yield Buffer.concat([encoder.encode("data: "), piece, encoder.encode("\n\n")])
    yield encoder.encode("event: end\ndata: {}\n\n")
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    yield encoder.encode(`event: error\ndata: ${JSON.stringify({ message })}\n\n`)
  }
}
