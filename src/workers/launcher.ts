/**
 * The appliance's end of a warm launcher (`python/plugin_worker/launcher.py`): a Python with the base packages in memory, which
 * forks workers. What it forks dies with it, as it dies with us. Linux only.
 */
import { closeSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { z } from "zod"
import { CONTROL_FRAME, encodeFrame, FrameDecoder } from "../frames.ts"
import type { Log } from "../log.ts"
import { sendDescriptors, socketPair } from "./descriptors.ts"
import { drainLines, OutputTail } from "./output.ts"
import { type Ending, type SpawnedProcess, spawnProcess, streamOf } from "./spawned-process.ts"
import { signalGroup } from "./terminate.ts"

/** Importing the base packages on a cold disk and a busy machine. */
const WARM_DEADLINE_MS = 60_000
/** A fork of some 100 MB takes milliseconds. */
const FORK_DEADLINE_MS = 10_000
const MAX_FRAME = 64 * 1024

const FromLauncher = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ready"), threads: z.int() }),
  z.object({ type: z.literal("forked"), pid: z.int().positive() }),
  z.object({
    type: z.literal("exited"),
    pid: z.int().positive(),
    code: z.int().nullable(),
    signal: z.string().max(32).nullable(),
  }),
])
type FromLauncher = z.infer<typeof FromLauncher>

export interface LauncherOptions {
  /** Of the interpreter whose packages these are. */
  readonly interpreterPath: string
  /** Absolute, without links; holds plugin_worker/. */
  readonly pythonTree: string
  readonly sitePackages: readonly string[]
  /** Its environment: what numeric libraries read when they are loaded is fixed here for every worker. */
  readonly environment: Record<string, string>
  readonly log: Log
}

export interface Launcher {
  readonly pid: number
  /** False from the moment it ended: nothing more can be forked. */
  readonly alive: boolean
  /** Workers that live; they end with it. */
  readonly children: number
  /** A worker that waits to be locked down. One at a time. @throws Error when the launcher is gone or late */
  fork(options: { environment: Record<string, string>; directory: string }): Promise<SpawnedProcess>
  /** Settles when it is reaped, and all that it forked sent SIGKILL. */
  readonly exited: Promise<unknown>
  end(): Promise<void>
}

/** @throws Error when it does not get warm, or has more than one thread then: a fork has but one, and locks of the others stay shut */
export async function startLauncher(options: LauncherOptions): Promise<Launcher> {
  const { interpreterPath, pythonTree, log } = options
  const launcher = spawnProcess({
    argv: [interpreterPath, "-I", "-S", "-B", join(pythonTree, "plugin_worker", "launcher.py")],
    cwd: "/",
    // Arrow's allocator would start a thread of its own.
    environment: { ...options.environment, JE_ARROW_MALLOC_CONF: "background_thread:false" },
  })
  const tail = new OutputTail()
  for (const stream of [launcher.stdout, launcher.stderr]) drainLines(stream, tail, () => undefined)
  const socket = connect({ fd: launcher.channel, path: "" })
  const decoder = new FrameDecoder(MAX_FRAME)
  const endings = new Map<number, (ending: Ending) => void>()
  let waiting: { resolve(message: FromLauncher): void; reject(reason: Error): void } | null = null
  /** What becomes of the fork at hand: it may have ended before its pid was read here. */
  let forking: ((ending: Ending) => void) | null = null
  let gone: Error | null = null

  const receive = (message: FromLauncher) => {
    if (message.type === "forked" && forking !== null) endings.set(message.pid, forking)
    if (message.type !== "exited") return waiting?.resolve(message)
    endings.get(message.pid)?.({ code: message.code, signal: message.signal })
    return endings.delete(message.pid)
  }
  socket.on("data", (chunk: Uint8Array) => {
    try {
      for (const { payload } of decoder.push(chunk)) {
        receive(FromLauncher.parse(JSON.parse(new TextDecoder().decode(payload))))
      }
    } catch (error) {
      log.error({ event: "launcher_broken", err: error }, "the launcher broke its protocol")
      signalGroup(launcher.pid, "SIGKILL")
    }
  })
  socket.on("error", () => socket.destroy())
  const exited = launcher.exited.then(({ code, signal }) => {
    gone = new Error(`The launcher of workers ended (${signal ?? `exit code ${code}`}): ${tail.toString().slice(-500)}`)
    socket.destroy()
    waiting?.reject(gone)
    // The kernel sends them SIGKILL; whoever became locked down in a moment of its own gets it from here.
    for (const [pid, settle] of endings) {
      signalGroup(pid, "SIGKILL")
      settle({ code: null, signal: "SIGKILL" })
    }
    endings.clear()
  })

  const ask = async (message: object, descriptors: readonly number[], deadlineMs: number): Promise<FromLauncher> => {
    if (gone !== null) throw gone
    const answer = Promise.withResolvers<FromLauncher>()
    waiting = answer
    const timer = setTimeout(() => {
      answer.reject(new Error(`The launcher of workers did not answer in ${deadlineMs} ms.`))
      signalGroup(launcher.pid, "SIGKILL")
    }, deadlineMs)
    try {
      const payload = new TextEncoder().encode(JSON.stringify(message))
      sendDescriptors(launcher.channel, encodeFrame(1, CONTROL_FRAME, payload), descriptors)
      return await answer.promise
    } finally {
      clearTimeout(timer)
      waiting = null
    }
  }
  const end = async () => {
    signalGroup(launcher.pid, "SIGKILL")
    await exited
  }

  let last: Promise<unknown> = Promise.resolve()
  const fork: Launcher["fork"] = ({ environment, directory }) => {
    const turn = last.then(() => forkNow(environment, directory))
    last = turn.catch(() => undefined)
    return turn
  }
  const forkNow = async (environment: Record<string, string>, directory: string): Promise<SpawnedProcess> => {
    const pairs = [socketPair(), socketPair(), socketPair()] as const
    const [channel, stdout, stderr] = pairs
    const ended = Promise.withResolvers<Ending>()
    forking = ended.resolve
    try {
      const answer = await ask(
        { type: "fork", environment, directory },
        pairs.map(({ theirs }) => theirs),
        FORK_DEADLINE_MS,
      )
      if (answer.type !== "forked") throw new Error(`the launcher answered a fork with '${answer.type}'`)
      const own = { channel: channel.own, stdout: streamOf(stdout.own), stderr: streamOf(stderr.own) }
      return { pid: answer.pid, ...own, exited: ended.promise }
    } catch (error) {
      for (const { own } of pairs) closeSync(own)
      throw error
    } finally {
      forking = null
      for (const { theirs } of pairs) closeSync(theirs)
    }
  }

  try {
    const ready = await ask({ type: "warm", site_packages: options.sitePackages }, [], WARM_DEADLINE_MS)
    if (ready.type !== "ready") throw new Error(`the launcher answered 'warm' with '${ready.type}'`)
    if (ready.threads !== 1) throw new Error(`the launcher has ${ready.threads} threads once it is warm`)
  } catch (error) {
    await end()
    throw error
  }
  return {
    pid: launcher.pid,
    get alive() {
      return gone === null
    },
    get children() {
      return endings.size
    },
    fork,
    exited,
    end,
  }
}
