/**
 * The one DuckDB of the documents process: in memory, bounded, without extensions from outside, and without any file but
 * those below the directories it was given. A few connections, so that a long query does not hold up a short one.
 */
import { mkdir, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import type { DuckDBConnection, DuckDBPendingResult, DuckDBType, DuckDBValue } from "@duckdb/node-api"
import { ApplianceError } from "../errors.ts"
import type { Parameters } from "./parameters.ts"

export interface DatabaseOptions {
  readonly memoryLimitMb: number
  /** At most; fewer where the memory limit is small. */
  readonly threads: number
  readonly temporaryDir: string
  /** Absolute, without a trailing slash; nothing else can be opened. */
  readonly directories: readonly string[]
}

/** Readers beside each other; each may use all threads, so more of them would only divide the same cores and memory. */
const CONNECTIONS = 4
/**
 * What a thread may need: DuckDB's JSON functions hold some times the text of a row group. Measured on full parts, 128 MiB
 * for two threads and 256 MiB for eight were too little for a sort over ordinary documents, 256 for two and 1,024 for
 * eight did.
 */
const THREAD_MIB = 128
/**
 * DuckDB's own threads are left alone with a statement so long. Whoever waits in DuckDB looks for a task without a pause
 * while another thread has the only one, and is in its way: writing a part that way took twice the CPU and the time. But
 * its threads may all be at others' long queries.
 */
const PATIENCE_MS = 250
const POLL_MS = 1

/** What a spilling sort or a hostile file may fill of the disk. */
const MAX_SPILL = "16GiB"

export interface Session {
  /**
   * One statement; rows by column name, numbers of at most 32 bits and doubles as numbers, 64 bits as bigint.
   * @throws ApplianceError TimeoutError after the deadline, ServiceUnavailableError when the memory limit does not do;
   * DuckDB's own error otherwise
   */
  rows<Row>(sql: string, parameters?: Parameters): Promise<Row[]>
  /** One statement without rows that takes a while and cannot be shared among threads. @throws as `rows` */
  run(sql: string, parameters?: Parameters): Promise<void>
}

export type Database = Awaited<ReturnType<typeof openDatabase>>

export async function openDatabase({ memoryLimitMb, threads, temporaryDir, directories }: DatabaseOptions) {
  const duckdb = await import("@duckdb/node-api")
  const { default: bindings } = await import("@duckdb/node-bindings")
  await clearTemporary(temporaryDir)
  const usedThreads = Math.max(1, Math.min(threads, Math.floor(memoryLimitMb / THREAD_MIB)))
  const instance = await duckdb.DuckDBInstance.create(":memory:", {
    memory_limit: `${memoryLimitMb}MiB`,
    threads: String(usedThreads),
    temp_directory: temporaryDir,
    max_temp_directory_size: MAX_SPILL,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
    allow_persistent_secrets: "false",
  })
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => instance.connect()))
  const [first] = connections
  if (first === undefined) throw new Error("DuckDB gave no connection")
  // In this order: nothing can be allowed once access is off, and nothing changed once locked.
  await first.run(`SET allowed_directories = [${directories.map((directory) => quote(`${directory}/`)).join(", ")}]`)
  await first.run("SET enable_external_access = false")
  await first.run("SET lock_configuration = true")

  const idle = [...connections]
  const waiting = new Set<(connection: DuckDBConnection) => void>()
  const take = (deadlineMs: number) => {
    const connection = idle.pop()
    if (connection !== undefined) return Promise.resolve(connection)
    return new Promise<DuckDBConnection>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(taken)
        reject(tooLate(deadlineMs))
      }, deadlineMs)
      const taken = (given: DuckDBConnection) => {
        clearTimeout(timer)
        resolve(given)
      }
      waiting.add(taken)
    })
  }
  const give = (connection: DuckDBConnection) => {
    for (const next of waiting) {
      waiting.delete(next)
      next(connection)
      return
    }
    idle.push(connection)
  }

  const bind = (parameters: Parameters) => {
    const values: DuckDBValue[] = []
    const types: DuckDBType[] = []
    for (const parameter of parameters.all) {
      switch (parameter.kind) {
        case "text":
          values.push(parameter.value)
          types.push(duckdb.VARCHAR)
          break
        case "number":
          values.push(parameter.value)
          types.push(duckdb.DOUBLE)
          break
        case "texts":
          values.push(duckdb.listValue(parameter.value))
          types.push(duckdb.LIST(duckdb.VARCHAR))
          break
        case "numbers":
          values.push(duckdb.listValue(parameter.value))
          types.push(duckdb.LIST(duckdb.DOUBLE))
          break
        case "marks":
          values.push(
            duckdb.listValue(
              parameter.value.map((marks) =>
                duckdb.DuckDBBitValue.fromLengthAndPredicate(marks.length, (index) => marks[index] === 1),
              ),
            ),
          )
          types.push(duckdb.LIST(duckdb.BIT))
          break
        default:
          parameter satisfies never
      }
    }
    return { values, types }
  }

  const isRunning = (pending: DuckDBPendingResult) => {
    // What the library's own `runTask` asks with, which would run the task in this thread.
    // biome-ignore lint/complexity/useLiteralKeys: it is private but for this way.
    const state = bindings.pending_execute_check_state(pending["pending_result"])
    return state === bindings.PendingState.RESULT_NOT_READY || state === bindings.PendingState.NO_TASKS_AVAILABLE
  }
  const runAside = async (connection: DuckDBConnection, sql: string, parameters?: Parameters) => {
    const prepared = await connection.prepare(sql)
    try {
      if (parameters !== undefined) {
        const { values, types } = bind(parameters)
        prepared.bind(values, types)
      }
      const pending = prepared.start()
      // The one thread there may be is that of the caller.
      const until = performance.now() + (usedThreads > 1 ? PATIENCE_MS : 0)
      while (performance.now() < until && isRunning(pending)) await Bun.sleep(POLL_MS)
      await pending.getResult()
    } finally {
      prepared.destroySync()
    }
  }

  return {
    version: duckdb.version(),
    memoryBytes: memoryLimitMb * 1024 ** 2,

    /**
     * Lends one connection; its temporary tables are the caller's to drop. Waiting for it and all its statements together
     * have the deadline, in milliseconds.
     */
    async session<T>(deadlineMs: number, work: (session: Session) => Promise<T>): Promise<T> {
      const start = performance.now()
      const connection = await take(deadlineMs)
      let late = false
      const timer = setTimeout(
        () => {
          late = true
          connection.interrupt()
        },
        Math.max(1, deadlineMs - (performance.now() - start)),
      )
      const inTime = async <T>(statement: () => Promise<T>): Promise<T> => {
        try {
          if (late) throw tooLate(deadlineMs)
          return await statement()
        } catch (error) {
          throw late ? tooLate(deadlineMs) : meaning(error)
        }
      }
      const session: Session = {
        rows: <Row>(sql: string, parameters?: Parameters) =>
          inTime(async () => {
            const bound = parameters === undefined ? undefined : bind(parameters)
            const reader = await connection.runAndReadAll(sql, bound?.values, bound?.types)
            // The columns are those of the statement beside the type: both are written in one place.
            return reader.getRowObjectsJS() as Row[]
          }),
        run: (sql, parameters) => inTime(() => runAside(connection, sql, parameters)),
      }
      try {
        return await work(session)
      } finally {
        clearTimeout(timer)
        give(connection)
      }
    },
  }
}

/** A literal, for the places that take no parameter. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function tooLate(deadlineMs: number): ApplianceError {
  return new ApplianceError("TimeoutError", `The documents were not read within ${deadlineMs} ms. Narrow the request.`)
}

/** What DuckDB says by the first words of its message is all there is to tell its errors apart. */
function meaning(error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error)
  if (message.startsWith("Out of Memory")) {
    return new ApplianceError("ServiceUnavailableError", "The request needs more memory than documents may use.", {
      cause: error,
    })
  }
  if (/No files found|No such file/.test(message)) {
    return new ApplianceError("ServiceUnavailableError", "Documents were replaced while they were read. Try again.", {
      cause: error,
    })
  }
  return error
}

/** A process that was killed leaves what it had spilled. */
async function clearTemporary(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  for (const name of await readdir(directory)) {
    if (name.startsWith("duckdb_temp")) await rm(join(directory, name), { force: true, recursive: true })
  }
}
