import type { Interpreter } from "../interpreters.ts"
import type { EnvironmentBuildFailed } from "./build-failed.ts"
import { tagOf } from "./lock.ts"
import type { ToolFailure } from "./tool.ts"

/** A wheel that is not there. */
export interface MissingRequirement {
  readonly name: string
  /** The range that is asked for, such as `>=2,<3`, or `any version`. */
  readonly version: string
  /** What it must fit, such as `cp311, linux-x86_64`. */
  readonly tag: string
  /** Version and path of the Python that it is for. */
  readonly interpreter: string
  readonly required_by: readonly string[]
  /** Files of that name that do not do, each with the reason. */
  readonly found: readonly string[]
}

/** What a plugin asks for cannot be had here. `problems` say each what is wrong; `missing` are the wheels to bring. */
export class EnvironmentRefused extends Error {
  override readonly name = "EnvironmentRefused"
  readonly problems: readonly string[]
  readonly missing: readonly MissingRequirement[]
  /** Paths of source distributions of the store, one for each missing wheel that has any. */
  readonly sources: readonly string[]

  constructor(
    message: string,
    problems: readonly string[],
    missing: readonly MissingRequirement[] = [],
    sources: readonly string[] = [],
  ) {
    super(message)
    this.problems = problems
    this.missing = missing
    this.sources = sources
  }

  /** A Python that the plugin asks for is here, and what every plugin may import is not installed for it. */
  static withoutBase(
    failed: EnvironmentBuildFailed,
    interpreter: Interpreter,
    { requiresPython, dataDir }: { requiresPython: string | null; dataDir: string },
  ): EnvironmentRefused {
    const python = `Python ${interpreter.version} (${interpreter.path})`
    const advice = `requires_python is '${requiresPython}', for which ${python} is here without the base packages. Run 'mixpeek runtime setup --python ${interpreter.path} --data ${dataDir}', or bring their wheels.`
    const missing = failed.missing.map(
      ({ name, version, tag, found }): MissingRequirement => ({
        ...{ name, version: `==${version}`, tag, found },
        interpreter: python,
        required_by: ["the base environment"],
      }),
    )
    const named = missing.map((each) => describeMissing(each, "the wheel store"))
    const reasons = named.length > 0 ? named : failed.message.split("\n").slice(0, 6)
    return new EnvironmentRefused(
      "The base packages of this plugin's Python are not installed",
      [advice, ...reasons],
      missing,
    )
  }

  /** `places` is where packages were looked for, in words. */
  static unresolved(failure: ToolFailure, interpreter: Interpreter, places: string): EnvironmentRefused {
    const sources = failure.missing.flatMap((each) => each.sources.slice(0, 1))
    const missing = failure.missing.map(
      ({ sources: _, ...each }): MissingRequirement => ({
        ...each,
        tag: tagOf(interpreter),
        interpreter: `Python ${interpreter.version} (${interpreter.path})`,
      }),
    )
    const named = missing.map((each) => describeMissing(each, places))
    switch (failure.kind) {
      case "missing":
        return new EnvironmentRefused(
          missingWords(missing.length, places),
          [...named, ...failure.problems],
          missing,
          sources,
        )
      case "conflict":
        return new EnvironmentRefused("The plugin's dependencies contradict one another", failure.problems)
      case "invalid":
        return new EnvironmentRefused("The plugin's dependencies are not ones that can be taken", failure.problems)
      default:
        return new EnvironmentRefused("The plugin's dependencies could not be resolved", failure.problems)
    }
  }
}

function missingWords(count: number, places: string): string {
  const what = count === 1 ? "A wheel that the plugin needs is" : `${count} wheels that the plugin needs are`
  return `${what} not in ${places}`
}

function describeMissing(missing: MissingRequirement, places: string): string {
  const { name, version, tag, interpreter, required_by: askers, found } = missing
  const range = version === "any version" ? "" : ` ${version}`
  const by = askers.length === 0 ? "" : `, required by ${askers.slice(0, 5).join(", ")}`
  const instead = found.length === 0 ? "" : `; ${found.join("; ")}`
  // As files spell it.
  const file = `${name.replaceAll("-", "_")}-*.whl`
  return `${name}${range} (${file} for ${tag}; ${interpreter}) is not in ${places}${by}${instead}`
}
