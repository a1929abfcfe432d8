import { connect } from "node:net"
import { Readable } from "node:stream"

/** How a process ended; both are null while it runs. */
export interface Ending {
  readonly code: number | null
  readonly signal: string | null
}

/** A worker's process, however it came to be: a program that was started, or a fork of the launcher. It leads its own group. */
export interface SpawnedProcess {
  readonly pid: number
  /** Our end of the channel's socket pair. */
  readonly channel: number
  readonly stdout: ReadableStream<Uint8Array>
  readonly stderr: ReadableStream<Uint8Array>
  /** Settles when it is reaped; never rejects. */
  readonly exited: Promise<Ending>
}

export interface SpawnOptions {
  readonly argv: readonly string[]
  readonly cwd: string
  /** The whole environment of the worker. */
  readonly environment: Record<string, string>
}

/** Starts the program anew. @throws what Bun.spawn throws */
export function spawnProcess({ argv, cwd, environment }: SpawnOptions): SpawnedProcess {
  if (!Bun.isMainThread) {
    throw new Error(
      "workers are spawned from the main thread: their parent-death signal is tied to the spawning thread",
    )
  }
  const child = Bun.spawn([...argv], {
    cwd,
    env: environment,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true, // its own process group
  })
  const channel = child.stdio[3]
  if (typeof channel !== "number") throw new TypeError("the fourth stdio of a worker is a descriptor")
  return {
    pid: child.pid,
    channel,
    stdout: child.stdout,
    stderr: child.stderr,
    exited: child.exited.then(() => ({
      code: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
    })),
  }
}

/** What comes out of our end of a socket pair, which the stream owns and closes. */
export function streamOf(descriptor: number): ReadableStream<Uint8Array> {
  const socket = connect({ fd: descriptor, path: "" })
  // A reset says no more than the end of the stream.
  socket.on("error", () => socket.destroy())
  // Node's typings know their own ReadableStream, which is the same one.
  return Readable.toWeb(socket) as unknown as ReadableStream<Uint8Array>
}
