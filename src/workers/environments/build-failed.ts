import type { Interpreter } from "../interpreters.ts"
import { type MissingWheel, tagOf } from "./lock.ts"

type Reason = "no_pip" | "missing_wheels" | "index_unreachable" | "install_failed" | "unusable"

/** An environment cannot be built; the message says what is missing and how to get it, over several lines. */
export class EnvironmentBuildFailed extends Error {
  override readonly name = "EnvironmentBuildFailed"
  readonly reason: Reason
  readonly missing: readonly MissingWheel[]

  constructor(reason: Reason, message: string, missing: readonly MissingWheel[] = []) {
    super(message)
    this.reason = reason
    this.missing = missing
  }

  static noPip(interpreter: Interpreter): EnvironmentBuildFailed {
    return new EnvironmentBuildFailed(
      "no_pip",
      [
        `Python ${interpreter.version} (${interpreter.path}) has no pip, which installs the packages.`,
        `Get it with '${interpreter.path} -m ensurepip --upgrade', or with your system's package (python3-pip on Debian`,
        "and Ubuntu), or name another Python with --python. Then run 'mixpeek runtime setup' again.",
      ].join("\n"),
    )
  }

  static missingWheels(directories: readonly string[], missing: readonly MissingWheel[], interpreter: Interpreter) {
    const [, minor] = interpreter.version.split(".")
    const pins = missing.map((wheel) => `${wheel.name}==${wheel.version}`).join(" ")
    const lines = missing.map((wheel) => {
      const found = wheel.found.length === 0 ? "" : `: ${wheel.found.join("; ")}`
      return `  ${wheel.name} ${wheel.version} (${wheel.tag})${found}`
    })
    return new EnvironmentBuildFailed(
      "missing_wheels",
      [
        `${missing.length} of the packages have no wheel in ${directories.join(" and ")}:`,
        ...lines,
        `Download them with Python 3.${minor} on a machine of the same platform that reaches a package index:`,
        `  python3.${minor} -m pip download --only-binary :all: --no-deps -d wheels ${pins}`,
      ].join("\n"),
      missing,
    )
  }

  /** pip's own words are the reason; the sentence before them says what to do. */
  static install(output: string, interpreter: Interpreter, offline: boolean): EnvironmentBuildFailed {
    const errors = output.split("\n").filter((line) => /^\s*(ERROR|WARNING: Retrying)/.test(line))
    const words = (errors.length > 0 ? errors : output.split("\n")).slice(-6).map((line) => `  ${line.trim()}`)
    if (!offline && UNREACHABLE.test(output)) {
      const advice = "No package index could be reached. Name one with --index, or install offline with --wheels."
      return new EnvironmentBuildFailed("index_unreachable", [advice, ...words].join("\n"))
    }
    const lost = /No matching distribution found for ([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)/.exec(output)
    if (lost?.[1] !== undefined && lost[2] !== undefined) {
      const missing = { name: lost[1], version: lost[2], tag: tagOf(interpreter), found: [] }
      const advice = `No wheel of ${missing.name} ${missing.version} (${missing.tag}) was found; the index lacks it or was not reached.`
      return new EnvironmentBuildFailed("missing_wheels", [advice, ...words].join("\n"), [missing])
    }
    return new EnvironmentBuildFailed("install_failed", ["pip could not install the packages.", ...words].join("\n"))
  }
}

/** How pip and urllib3 word it when no connection came about. */
const UNREACHABLE =
  /NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|SSLError|Connection refused|Name or service not known|Read timed out/
