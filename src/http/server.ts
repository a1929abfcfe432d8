import { ConfigError } from "../config.ts"
import type { App } from "./app.ts"
import { withNamespaceFromPath } from "./app.ts"
import { bareFailure } from "./error-response.ts"
import type { InferenceFront } from "./inference-front.ts"

/** A connection may be silent this long while a request is open, in seconds; routes that need longer say so. */
const IDLE_SECONDS = 30
const MOST_IDLE_SECONDS = 255
/** Bun's own cap would answer 413 without the envelope: every route caps its own body far below this. */
const BODY_BYTES = 1024 ** 4

export interface HttpServer {
  /** Base address without a trailing slash. */
  readonly url: string
  /** Takes no new request; resolves when those in flight are answered or the grace is over. */
  stop(graceMs: number): Promise<void>
}

/** @throws ConfigError when the address is taken or not ours */
export function serveHttp(fetch: App["fetch"], front: InferenceFront, host: string, port: number): HttpServer {
  const server = listen({
    hostname: host,
    port,
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: BODY_BYTES,
    // Bun's own page for a failure shows this program's sources and paths to whoever asks.
    development: false,
    // Without development Bun shares the port with whoever listens on it already, and requests go to either.
    reusePort: false,
    error: () => bareFailure(500, "InternalServerError", "The appliance failed on this request."),
    fetch(request, self) {
      // Bun knows no longer limit than 255 s, but none at all.
      const allowSilence = (seconds: number) => self.timeout(request, seconds > MOST_IDLE_SECONDS ? 0 : seconds)
      const plain = front(request, allowSilence)
      if (plain !== null) return plain
      // The address is made of the Host header, which may be anything.
      if (!URL.canParse(request.url)) return bareFailure(400, "BadRequestError", "The Host header is not a host.")
      return fetch(withNamespaceFromPath(request), { allowSilence })
    },
  })
  // Presigned URLs must be reachable from where the server is asked: "any address" is no address to call.
  const reachable = ["0.0.0.0", "::", ""].includes(host) ? "127.0.0.1" : host
  return {
    url: `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${server.port}`,
    async stop(graceMs) {
      const grace = Promise.withResolvers<void>()
      const timer = setTimeout(grace.resolve, graceMs)
      await Promise.race([server.stop(), grace.promise])
      clearTimeout(timer)
      await server.stop(true)
    },
  }
}

type ServeOptions = Bun.Serve.HostnamePortServeOptions<undefined> & {
  fetch: (request: Request, self: Bun.Server<undefined>) => Response | Promise<Response>
}

function listen(options: ServeOptions): Bun.Server<undefined> {
  try {
    return Bun.serve(options)
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined
    if (code === "EADDRINUSE") {
      throw new ConfigError(`Port ${options.port} on ${options.hostname} is taken; --port names another, 0 a free one.`)
    }
    throw new ConfigError(
      `The server cannot listen on ${options.hostname}:${options.port}: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}
