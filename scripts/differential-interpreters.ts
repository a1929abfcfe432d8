/**
 * What the interpreters of this machine say to a source: one long-lived process each, a JSON line per question. Any of
 * Python 3.10 to 3.13 that is on the PATH is asked, or those of the directories given.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"

const ASK = `
import base64, json, sys, warnings
warnings.simplefilter("ignore")
for line in sys.stdin:
    source = base64.b64decode(line)
    try:
        compile(source, "core.py", "exec", dont_inherit=True)
        answer = None
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        answer = [getattr(error, "lineno", None) or 0, getattr(error, "offset", None) or 0, str(error)[:200]]
    print(json.dumps(answer), flush=True)
`
const SUPPORTED = ["3.10", "3.11", "3.12", "3.13"]

export interface Refusal {
  readonly line: number
  readonly column: number
  readonly message: string
}

export interface Interpreter {
  readonly version: string
  /** Null when it compiles the source. */
  ask(source: Uint8Array): Promise<Refusal | null>
  [Symbol.asyncDispose](): Promise<void>
}

/** The interpreters found, one per version; `directories` stand before those of the PATH. */
export function startInterpreters(path: string, directories: readonly string[] = []): Interpreter[] {
  const found = new Map<string, string>()
  const names = [...SUPPORTED.map((version) => `python${version}`), "python3"]
  for (const directory of [...directories, ...path.split(":")]) {
    for (const name of names) {
      const command = join(directory, name)
      if (!existsSync(command)) continue
      const version = versionOf(command)
      if (version !== null && SUPPORTED.includes(version) && !found.has(version)) found.set(version, command)
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([version, command]) => start(version, command))
}

/** Null for what is no interpreter that works, as a version manager's shim without its version. */
function versionOf(command: string): string | null {
  const { exitCode, stdout } = Bun.spawnSync([command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], {
    stderr: "ignore",
  })
  return exitCode === 0 ? stdout.toString().trim() : null
}

function start(version: string, command: string): Interpreter {
  const child = Bun.spawn([command, "-I", "-u", "-c", ASK], { stdin: "pipe", stdout: "pipe", stderr: "inherit" })
  const answers = lines(child.stdout)
  return {
    version,
    async ask(source) {
      child.stdin.write(`${Buffer.from(source).toString("base64")}\n`)
      child.stdin.flush()
      const { value, done } = await answers.next()
      if (done) throw new Error(`Python ${version} ended with ${await child.exited}`)
      const answer = JSON.parse(value) as [number, number, string] | null
      return answer === null ? null : { line: answer[0], column: Math.max(0, answer[1] - 1), message: answer[2] }
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await child.exited
    },
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true })
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      yield rest.slice(0, end)
      rest = rest.slice(end + 1)
    }
  }
}
