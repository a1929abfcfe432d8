/**
 * The documents process: the appliance starts it with a socket on descriptor 3, says `open` once and then asks. It holds
 * no secret and ends when the socket does, whatever it is doing.
 */
import { connect } from "node:net"
import { join } from "node:path"
import { ApplianceError } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { CONTROL_FRAME, encodeFrame, FrameDecoder } from "../frames.ts"
import { failLandings } from "../write-durably.ts"
import { type Database, openDatabase } from "./database.ts"
import { documentJson, pageJson } from "./document-json.ts"
import { findMadeOf } from "./made-of.ts"
import { pathGuard } from "./part-files.ts"
import {
  type FromDocuments,
  MAX_REPLY_BYTES,
  MAX_REQUEST_BYTES,
  type OpenMessage,
  type PartRef,
  ToDocuments,
} from "./protocol.ts"
import { countDocuments, getDocument, listDocuments } from "./query.ts"
import { findSuperseded } from "./superseded.ts"
import { writePart } from "./write-part.ts"
import { writeRows } from "./write-rows.ts"

const CHANNEL_FD = 3

/** Settles when the process has begun to listen; the process ends by itself when the channel closes. */
export async function runDocumentsProcess(): Promise<void> {
  // The appliance decides when this ends, by closing the channel: a signal to the whole group must not come before it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {})
  const socket = connect({ fd: CHANNEL_FD, path: "" })
  const decoder = new FrameDecoder(MAX_REQUEST_BYTES)
  const answer = requestHandler()
  const send = (id: number, json: string) => {
    const payload = new TextEncoder().encode(json)
    const fits = payload.byteLength <= MAX_REPLY_BYTES
    socket.write(
      encodeFrame(id, CONTROL_FRAME, fits ? payload : new TextEncoder().encode(tooLarge(payload.byteLength))),
    )
  }
  socket.on("data", (chunk: Uint8Array) => {
    for (const { id, payload } of decoder.push(chunk)) {
      void answer(payload).then((json) => send(id, json))
    }
  })
  // Nothing is left to do for nobody, and a query in DuckDB's threads would keep the process alive.
  socket.on("error", () => process.exit(1))
  socket.on("close", () => process.exit(0))
}

/** Answers a request's reply as JSON; never rejects. */
function requestHandler(): (payload: Uint8Array) => Promise<string> {
  let opened: { database: Database; settings: OpenMessage; guard: (path: string) => void } | null = null

  const open = async (settings: OpenMessage): Promise<FromDocuments> => {
    if (opened !== null) throw new Error("the documents process is open")
    const directories = [join(settings.data_dir, "documents"), join(settings.data_dir, "spool")]
    const database = await openDatabase({
      memoryLimitMb: settings.memory_limit_mb,
      threads: settings.threads,
      temporaryDir: settings.temporary_dir,
      directories,
    })
    failLandings(settings.landing_fault)
    opened = { database, settings, guard: pathGuard(directories) }
    return { type: "ready", pid: process.pid, duckdb: database.version }
  }

  const handle = async (message: ToDocuments): Promise<string> => {
    if (message.type === "open") return JSON.stringify(await open(message))
    if (opened === null) throw new Error("the documents process is not open")
    const { database, settings, guard } = opened
    const deadline = settings.query_deadline_ms
    switch (message.type) {
      case "write_part": {
        for (const path of [message.lineage, message.scalars, message.part]) guard(path)
        for (const { path } of message.vectors) guard(path)
        const written = await writePart(database, message, settings.write_deadline_ms)
        return JSON.stringify({ type: "part_written", ...written })
      }
      case "find_superseded": {
        guard(message.lineage)
        guardParts(message.parts, guard)
        const { own = null } = message
        const { sources = [], living = [] } = message.chain ?? {}
        guardParts([...sources.map(({ part }) => part), ...living, ...(own === null ? [] : [own])], guard)
        const parts = await findSuperseded(database, message, settings.write_deadline_ms)
        return JSON.stringify({ type: "superseded", parts })
      }
      case "find_made_of": {
        guardParts([...message.parts, ...message.gone.map(({ part }) => part)], guard)
        for (const { dead_file: file } of message.gone) if (file != null) guard(file)
        const parts = await findMadeOf(database, message, settings.write_deadline_ms)
        return JSON.stringify({ type: "superseded", parts })
      }
      case "write_rows": {
        for (const path of [message.input, message.lineage]) guard(path)
        guardParts(
          message.sources.map(({ part }) => part),
          guard,
        )
        const written = await writeRows(database, message, settings.write_deadline_ms)
        return JSON.stringify({ type: "rows_written", ...written } satisfies FromDocuments)
      }
      case "list": {
        guardParts(message.parts, guard)
        const select = message.select == null || message.select.length === 0 ? null : message.select
        return pageJson(await listDocuments(database, message, deadline), select)
      }
      case "get": {
        guardParts(message.parts, guard)
        const document = await getDocument(database, message, deadline)
        return `{"type":"found","document":${document === null ? "null" : documentJson(document, null)}}`
      }
      case "count":
        guardParts(message.parts, guard)
        return JSON.stringify({ type: "counted", count: await countDocuments(database, message, deadline) })
      default:
        return message satisfies never
    }
  }

  return async (payload) => {
    try {
      return await handle(ToDocuments.parse(parseExactly(new TextDecoder().decode(payload))))
    } catch (error) {
      return JSON.stringify(failure(error))
    }
  }
}

function guardParts(parts: readonly PartRef[], guard: (path: string) => void): void {
  for (const part of parts) {
    guard(part.path)
    if (part.dead_file != null) guard(part.dead_file)
  }
}

function failure(error: unknown): FromDocuments {
  if (error instanceof ApplianceError) {
    const { type, message, details } = error
    if (type === "ValidationError" || type === "TimeoutError" || type === "ServiceUnavailableError") {
      return { type: "failed", error: { type, message, ...(details === undefined ? {} : { details }) } }
    }
  }
  if (error instanceof Error && "code" in error && error.code === "ENOENT") {
    // Parts are replaced and swept while a request that knew them is under way.
    const message = "Documents were replaced while they were read. Try again."
    return { type: "failed", error: { type: "ServiceUnavailableError", message } }
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return { type: "failed", error: { type: null, message: message.slice(0, 4096) } }
}

function tooLarge(bytes: number): string {
  const message = `The answer has ${bytes} bytes; ask for fewer documents or fewer fields.`
  return JSON.stringify({ type: "failed", error: { type: "ValidationError", message } } satisfies FromDocuments)
}
