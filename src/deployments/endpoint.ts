/**
 * From a request to the handler's answer. The request is checked here, before Python; the answer passes as the bytes that the
 * worker wrote.
 */
import { ApplianceError, notFound } from "../errors.ts"
import { pluginId as idOf, normalizeVersion } from "../identifiers.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { Deployments } from "./deployments.ts"
import { type InputCheck, inputCheck } from "./input-schema.ts"
import type { RunningRevision } from "./revision.ts"

interface Deps {
  deployments: Pick<Deployments, "answering" | "aliased" | "serves" | "shadowsOf">
  registered: (namespace: Namespace, pluginId: string) => boolean
  /** From a request's arrival to its answer. */
  deadlineMs: number
}

/** JSON, whole, or in pieces as they come. */
export type Answer =
  | { readonly body: Uint8Array; readonly pieces: null }
  | { readonly body: null; readonly pieces: AsyncIterable<Uint8Array> }

/** Pieces that a slow client has not read: a worker cannot be told to wait. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024
/** What a piece costs besides its bytes: empty ones would be free otherwise. */
const PIECE_COST = 128
/** After the deadline, for the answer that tells of it; in seconds. */
const SILENCE_MARGIN = 10

export function endpoint({ deployments, registered, deadlineMs }: Deps) {
  const checks = new WeakMap<RunningRevision, InputCheck>()

  const checkOf = (running: RunningRevision): InputCheck => {
    const known = checks.get(running)
    if (known !== undefined) return known
    const check = inputCheck(running.inputSchema)
    checks.set(running, check)
    return check
  }
  const existing = (namespace: Namespace, id: string): string => {
    if (!registered(namespace, id)) throw notFound("plugin", id)
    return id
  }

  return {
    /** A connection on which a call waits is silent for so long, in seconds. */
    silenceSeconds: deadlineMs / 1000 + SILENCE_MARGIN,

    /** The plugin that a request of `/v1/inference` names. @throws BadRequestError, NotFoundError */
    named(namespace: Namespace, { inference_name: name, feature_uri: uri, provider }: Target): string {
      if (name != null) return existing(namespace, name)
      if (uri != null) {
        const match = /^mixpeek:\/\/([^@/]+)@([^/]+)(\/.*)?$/.exec(uri)
        const version = match?.[2] === undefined ? null : normalizeVersion(match[2])
        if (match?.[1] === undefined || version === null) {
          throw new ApplianceError("BadRequestError", `'${uri}' is no feature URI (mixpeek://<name>@<version>).`)
        }
        return existing(namespace, idOf(match[1], version))
      }
      throw new ApplianceError(
        "BadRequestError",
        provider == null
          ? "Name what is to answer: inference_name (a plugin id) or feature_uri."
          : `The provider '${provider}' is not set up here; name a plugin by inference_name or feature_uri.`,
      )
    },

    /** Whether a call would be given to anybody. */
    answers: (namespace: Namespace, pluginId: string): boolean => deployments.serves(namespace.namespaceId, pluginId),

    /** The plugin that a name answers with now. @throws NotFoundError */
    aliased: (namespace: Namespace, name: string): string => deployments.aliased(namespace, name),

    /**
     * `body` is the request as JSON bytes, `inputs` what of it the schema speaks of.
     * @throws BadRequestError, NotFoundError, TooManyRequestsError, ProcessingError, BadGatewayError, TimeoutError,
     *   InferenceServiceUnavailableError
     */
    call(
      namespace: Namespace,
      pluginId: string,
      { body, inputs }: { body: Uint8Array; inputs: Record<string, unknown> },
      { requestId, signal }: { requestId: string; signal: () => AbortSignal },
    ): Promise<Answer> {
      const running = deployments.answering(namespace, pluginId)
      checkOf(running)(inputs)
      return new Promise((resolve, reject) => {
        let pieces: PieceQueue | null = null
        const onPiece = (piece: Uint8Array) => {
          if (pieces === null) {
            pieces = pieceQueue()
            resolve({ body: null, pieces: pieces.read() })
          }
          pieces.push(piece)
        }
        running.ask(body, { deadlineMs, requestId, signal, onPiece }, (error, whole) => {
          if (error !== null) return pieces === null ? reject(error) : pieces.fail(error)
          // The end of a stream is empty, as no JSON is: one without any piece is a stream too.
          if (whole.byteLength === 0) {
            pieces ??= pieceQueue()
            resolve({ body: null, pieces: pieces.read() })
          }
          if (pieces !== null) return pieces.end()
          resolve({ body: whole, pieces: null })
          for (const shadow of deployments.shadowsOf(running)) shadow.copy(body, whole)
        })
      })
    },
  }
}

export type Endpoint = ReturnType<typeof endpoint>

interface Target {
  readonly inference_name?: string | null | undefined
  readonly feature_uri?: string | null | undefined
  readonly provider?: string | null | undefined
}

type PieceQueue = ReturnType<typeof pieceQueue>

/** Between a worker that sends pieces and a client that reads them. */
function pieceQueue() {
  const waiting: Uint8Array[] = []
  /** Of those that wait. */
  let bytes = 0
  let over = false
  let error: unknown = null
  let wake: (() => void) | null = null
  const stir = () => {
    wake?.()
    wake = null
  }
  return {
    /** @throws ProcessingError when the client is that far behind */
    push(piece: Uint8Array) {
      bytes += piece.byteLength + PIECE_COST
      if (bytes > MAX_UNREAD_BYTES) {
        throw new ApplianceError("ProcessingError", `The client is ${MAX_UNREAD_BYTES} bytes behind the stream.`)
      }
      waiting.push(piece)
      stir()
    },
    end() {
      over = true
      stir()
    },
    fail(reason: unknown) {
      over = true
      error = reason
      stir()
    },
    async *read(): AsyncGenerator<Uint8Array> {
      for (;;) {
        const piece = waiting.shift()
        if (piece !== undefined) {
          bytes -= piece.byteLength + PIECE_COST
          yield piece
        } else if (over) break
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
      if (error !== null) throw error
    },
  }
}
