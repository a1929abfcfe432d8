/**
 * The command tree. The root knows names and descriptions only; the module behind a command is loaded when the command
 * line names it. Exit codes: 0 ok, 1 the work failed, 2 the command line or a setting is wrong.
 */
import { tmpdir } from "node:os"
import { Command, CommanderError } from "commander"
import { ConfigError, logLevel } from "../config.ts"
import { NAME, VERSION } from "../version.ts"
import { CommandFailed } from "./command-failed.ts"
import { API_KEY, BASE_URL, LOG_LEVEL } from "./options.ts"
import { printError, printJson } from "./output.ts"

interface LazyCommand {
  readonly name: string
  readonly description: string
  readonly load: () => Promise<Command>
}

const COMMANDS: readonly LazyCommand[] = [
  {
    name: "serve",
    description: "run the appliance: the HTTP API, its workers and its data directory",
    load: async () => (await import("./serve.ts")).serveCommand(),
  },
  {
    name: "plugin",
    description: "make, test, publish and list feature-extractor plugins",
    load: async () => (await import("./plugin.ts")).pluginCommand(),
  },
  {
    name: "keys",
    description: "create, list and revoke API keys, directly in the data directory",
    load: async () => (await import("./keys.ts")).keysCommand(),
  },
  {
    name: "runtime",
    description: "set up the Python environment that plugins run in",
    load: async () => (await import("./runtime-setup.ts")).runtimeCommand(),
  },
  {
    name: "wheels",
    description: "the wheels from which plugins' environments are built offline",
    load: async () => (await import("./wheels.ts")).wheelsCommand(),
  },
  {
    name: "doctor",
    description: "say what this machine has, what is missing and how to get it",
    load: async () => (await import("./doctor.ts")).doctorCommand(),
  },
]

/** Global options that take a value, so that the command's name can be told from an option's value. */
const VALUE_OPTIONS = [API_KEY, BASE_URL, LOG_LEVEL]

export async function runCommandLine(words: readonly string[]): Promise<number> {
  // `mixpeek help plugin init` asks what `mixpeek plugin init --help` asks.
  const argv = words[0] === "help" ? [...words.slice(1), "--help"] : words
  surviveClosedPipes()
  let running: Command | null = null
  try {
    const program = await commandTree(argv)
    program.hook("preAction", (root, command) => {
      running = command
      inheritGlobalOptions(root, command)
    })
    await program.parseAsync([...argv], { from: "user" })
    return 0
  } catch (error) {
    return report(error, running)
  }
}

async function commandTree(argv: readonly string[]): Promise<Command> {
  const program = new Command(NAME)
    .description("A self-hosted appliance that runs your own feature extractors.")
    .version(`${NAME} ${VERSION}`, "-V, --version", "print name and version")
    .helpOption("-h, --help", "show help; works after every command")
    .helpCommand(false)
    .enablePositionalOptions()
    .showHelpAfterError("(--help after any command shows what it takes)")
    .exitOverride()
    .configureOutput({ writeErr: (text) => printError(text.trimEnd()) })
  for (const option of VALUE_OPTIONS) program.addOption(option())
  program.addHelpText(
    "after",
    "\nOptions win over the environment (MIXPEEK_DATA, MIXPEEK_API_KEY, MIXPEEK_BASE_URL, MIXPEEK_NAMESPACE,\n" +
      "MIXPEEK_LOG_LEVEL and more, named in each command's help). Exit codes: 0 ok, 1 failed, 2 usage.",
  )

  const named = commandNamed(argv)
  // Commander itself would let `mixpeek nonsense --help` pass as a request for help.
  if (named !== undefined && COMMANDS.every(({ name }) => name !== named)) {
    program.error(`error: unknown command '${named}'`)
  }
  for (const { name, description, load } of COMMANDS) {
    program.addCommand(name === named ? await load() : new Command(name).description(description))
  }
  inheritSettings(program)
  return program
}

/** The first word that is neither an option nor an option's value. */
function commandNamed(argv: readonly string[]): string | undefined {
  const flags = VALUE_OPTIONS.map((option) => option().long)
  return argv.find((word, index) => !word.startsWith("-") && !flags.includes(argv[index - 1]))
}

/** `addCommand` hands nothing down by itself: without this a usage error in a subcommand would end the process with 1. */
function inheritSettings(parent: Command): void {
  for (const child of parent.commands) {
    child.copyInheritedSettings(parent).enablePositionalOptions().helpCommand(false)
    inheritSettings(child)
  }
}

/** `mixpeek --log-level debug serve` means the same as `mixpeek serve --log-level debug`. */
function inheritGlobalOptions(root: Command, command: Command): void {
  for (const option of command.options) {
    const name = option.attributeName()
    const value: unknown = root.getOptionValue(name)
    if (value !== undefined && command.getOptionValueSource(name) !== "cli") {
      command.setOptionValueWithSource(name, value, "config")
    }
  }
}

/**
 * `mixpeek plugin list | head -1`: who stops reading has seen enough; the command still does its work. Where output cannot be
 * written for another reason (a file on a full disk) it goes on as well, since half of a publish helps nobody, and has failed.
 */
function surviveClosedPipes(): void {
  let told = false
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", ({ code, message }: NodeJS.ErrnoException) => {
      if (code === "EPIPE" || told) return
      told = true
      printError(`mixpeek: what is printed cannot be written: ${message}`)
      process.once("exit", () => {
        if (process.exitCode === undefined || process.exitCode === 0) process.exitCode = 1
      })
    })
  }
}

function report(error: unknown, command: Command | null): number {
  // Commander has printed its own message by now; asking for help or the version is no mistake.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const { json, logLevel: level } = options(command)
  // The command said itself what failed.
  if (error instanceof CommandFailed && error.reported) return 1
  const message = error instanceof Error ? `${error.message}${roomNeeded(error)}` : String(error)
  printError(`mixpeek: ${message}`)
  if (json === true) printJson({ success: false, error: { message } })
  if (error instanceof ConfigError) return 2
  if (wantsStack(level) && error instanceof Error) printError(stackOf(error))
  return 1
}

/** The system says neither whose disk it is nor what to do. */
function roomNeeded(error: NodeJS.ErrnoException): string {
  if (!["ENOSPC", "EDQUOT"].includes(error.code ?? "")) return ""
  return `. Room is needed in the data directory (--data) and in ${tmpdir()} (TMPDIR).`
}

function options(command: Command | null): { json?: unknown; logLevel?: unknown } {
  return command === null ? {} : command.opts()
}

function wantsStack(level: unknown): boolean {
  try {
    return ["debug", "trace"].includes(logLevel(typeof level === "string" ? level : undefined))
  } catch {
    // The level itself is what is wrong; that message is already out.
    return false
  }
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${stackOf(error.cause)}` : ""
  return `${error.stack ?? error.message}${cause}`
}
