/**
 * The documents of all collections, through a child process that is restarted when it dies: it reads what hostile code
 * wrote, so it may. Reading calls that were in flight then fail and say so; writing calls are asked once more.
 */
import { ApplianceError } from "../errors.ts"
import type { Log } from "../log.ts"
import type { LandingFault } from "../write-durably.ts"
import { type DocumentsChild, DocumentsDied, spawnDocuments } from "./child-process.ts"
import type {
  CountRequest,
  DocumentPage,
  DocumentsRequest,
  FindMadeOfRequest,
  FindSupersededRequest,
  GetRequest,
  ListRequest,
  ReplyTo,
  RowsWritten,
  StoredDocument,
  SupersededPart,
  WritePartAnswer,
  WritePartRequest,
  WriteRowsRequest,
} from "./protocol.ts"

export type {
  CountRequest,
  DocumentPage,
  FindSupersededRequest,
  GetRequest,
  ListRequest,
  PartRef,
  RowPlan,
  RowsWritten,
  SourcePart,
  StoredDocument,
  SupersededPart,
  WritePartAnswer,
  WritePartRequest,
  WriteRowsRequest,
} from "./protocol.ts"

export interface DocumentsOptions {
  /** argv of the child, a program that calls `runDocumentsProcess`. */
  readonly command: readonly string[]
  /** Absolute. Parts lie below `documents/`, inputs below `spool/`; the process can open nothing else. */
  readonly dataDir: string
  /**
   * For DuckDB's own memory; the process itself takes about 100 MB more. Below 256 a sort or filter over documents of 30 KB
   * and more may be refused with ServiceUnavailableError.
   */
  readonly memoryLimitMb: number
  /** At most: one for each 128 MB of the limit is used. */
  readonly threads: number
  /** Absolute, for what does not fit into memory. Created when missing. */
  readonly temporaryDir: string
  /** Of its landings, for tests. */
  readonly landingFault?: LandingFault | null
  /** For one list, get or count. */
  readonly queryDeadlineMs?: number
  /** Each process that was started, so that one that hangs can be ended after our own death; answers what to do at its end. */
  readonly onSpawn?: (pid: number) => () => void
  readonly log: Log
}

export interface Documents extends AsyncDisposable {
  /** Of the process that serves now; null while there is none. */
  readonly pid: number | null
  /** False while a process that died is being replaced. */
  readonly alive: boolean
  /**
   * Checks a worker's files and makes a part of them. A refusal is a value. One at a time: a death has one suspect.
   * @throws DocumentsUnavailable, as all that follow
   */
  writePart(request: WritePartRequest): Promise<WritePartAnswer>
  findSuperseded(request: FindSupersededRequest): Promise<SupersededPart[]>
  findMadeOf(request: FindMadeOfRequest): Promise<SupersededPart[]>
  /** Writes documents as rows that a plugin reads. @throws ApplianceError ValidationError for filters, TimeoutError */
  writeRows(request: WriteRowsRequest): Promise<RowsWritten>
  /** @throws ApplianceError ValidationError for filters, sort or cursor that cannot be understood, TimeoutError */
  list(request: ListRequest): Promise<DocumentPage>
  get(request: GetRequest): Promise<StoredDocument | null>
  /** @throws ApplianceError as `list` */
  count(request: CountRequest): Promise<number>
}

/** There is no documents process now: it is being restarted, or the appliance ends. */
export class DocumentsUnavailable extends ApplianceError {
  constructor(message: string, cause?: Error) {
    super("ServiceUnavailableError", message, { headers: { "Retry-After": "1" }, cause })
  }
}

const QUERY_DEADLINE_MS = 30_000
/** A part of 16,000 rows takes a tenth of a second; the largest that is taken, some minutes. */
const WRITE_DEADLINE_MS = 300_000
/** Beyond the process's own deadline, until it counts as hanging. */
const DEADLINE_SLACK_MS = 15_000
const START_DEADLINE_MS = 30_000
/** How long a call waits for a process that is being restarted. */
const RESTART_WAIT_MS = 10_000
const FIRST_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 10_000
/** A process that lived as long is not the last one's trouble going on. */
const HEALTHY_MS = 60_000

/** @throws Error when the first process does not become ready in 30 s; later ones are tried for ever, with back-off */
export async function startDocuments(options: DocumentsOptions): Promise<Documents> {
  const log = options.log.child({ part: "documents" })
  const queryDeadlineMs = options.queryDeadlineMs ?? QUERY_DEADLINE_MS
  const ending = new AbortController()
  let serving: DocumentsChild | null = null
  let deaths = 0

  const launch = async (): Promise<DocumentsChild> => {
    const child = spawnDocuments(options.command, log)
    const ended = options.onSpawn?.(child.pid)
    void child.exited.then(() => ended?.())
    try {
      await child.request(
        {
          type: "open",
          data_dir: options.dataDir,
          temporary_dir: options.temporaryDir,
          memory_limit_mb: options.memoryLimitMb,
          threads: Math.max(1, options.threads),
          query_deadline_ms: queryDeadlineMs,
          write_deadline_ms: WRITE_DEADLINE_MS,
          landing_fault: options.landingFault ?? null,
        },
        START_DEADLINE_MS,
      )
      if (ending.signal.aborted) throw new DocumentsDied("The documents process is not needed any more.")
    } catch (error) {
      await child.end()
      throw error
    }
    const since = performance.now()
    serving = child
    void child.exited.then((how) => {
      serving = null
      if (ending.signal.aborted) return
      deaths = performance.now() - since > HEALTHY_MS ? 1 : deaths + 1
      log.error({ event: "documents_died", how, deaths }, "the documents process died and is restarted")
      current = relaunch()
      current.catch(() => {})
    })
    return child
  }

  const relaunch = async (): Promise<DocumentsChild> => {
    for (;;) {
      await pause(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (deaths - 1)), ending.signal)
      if (ending.signal.aborted) throw new DocumentsDied("The documents process has been stopped.")
      try {
        return await launch()
      } catch (error) {
        deaths++
        log.error({ event: "documents_start_failed", err: error, deaths }, "the documents process did not start")
      }
    }
  }

  let current = launch()
  await current

  const child = async (): Promise<DocumentsChild> => {
    if (ending.signal.aborted) throw new DocumentsUnavailable("Documents are being stopped.")
    const found = await Promise.race([current, pause(RESTART_WAIT_MS, ending.signal)])
    if (found === undefined) throw new DocumentsUnavailable("Documents are being restarted. Try again.")
    return found
  }
  const ask = async <M extends DocumentsRequest>(message: M, deadlineMs: number): Promise<ReplyTo<M["type"]>> =>
    (await child()).request(message, deadlineMs + DEADLINE_SLACK_MS)
  const available = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      if (!(error instanceof DocumentsDied)) throw error
      throw new DocumentsUnavailable("Documents are being restarted. Try again.", error)
    }
  }
  const read = <M extends DocumentsRequest>(message: M) => available(ask(message, queryDeadlineMs))
  /** A second death is thrown. */
  const write = async <M extends DocumentsRequest>(message: M): Promise<ReplyTo<M["type"]>> => {
    try {
      return await ask(message, WRITE_DEADLINE_MS)
    } catch (error) {
      if (!(error instanceof DocumentsDied)) throw error
      log.warn({ event: "documents_retry", request: message.type }, "asked once more after a death")
      return await ask(message, WRITE_DEADLINE_MS)
    }
  }

  let writing: Promise<unknown> = Promise.resolve()
  const oneByOne = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = writing.then(work, work)
    writing = mine.catch(() => {})
    return mine
  }

  return {
    get pid() {
      return serving?.pid ?? null
    },
    get alive() {
      return serving !== null
    },
    writePart: (request) =>
      oneByOne(async () => {
        try {
          const { type: _type, ...answer } = await write({ type: "write_part", ...request })
          return answer
        } catch (error) {
          if (!(error instanceof DocumentsDied)) throw error
          if (ending.signal.aborted) throw new DocumentsUnavailable("Documents are being stopped.", error)
          return {
            ok: false,
            reason: `The documents process died twice over this output. ${error.message}`,
            too_large: false,
          }
        }
      }),
    findSuperseded: async (request) => (await available(write({ type: "find_superseded", ...request }))).parts,
    findMadeOf: async (request) => (await available(write({ type: "find_made_of", ...request }))).parts,
    async writeRows(request) {
      const { type: _type, ...written } = await available(write({ type: "write_rows", ...request }))
      return written
    },
    async list(request) {
      const { type: _type, ...page } = await read({ type: "list", ...request })
      return page
    },
    get: async (request) => (await read({ type: "get", ...request })).document,
    count: async (request) => (await read({ type: "count", ...request })).count,
    async [Symbol.asyncDispose]() {
      ending.abort()
      const last = await current.catch(() => null)
      await last?.end()
    },
  }
}

/** Milliseconds, or until the signal. */
function pause(milliseconds: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener("abort", done)
      resolve(undefined)
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener("abort", done)
    if (signal.aborted) done()
  })
}
