import { dirname } from "node:path"
import { type IsolationLevel, isBelow } from "../isolation-levels.ts"
import { type Environment, environmentOf, isSetUp } from "./environments/environment.ts"
import { findInterpreter, type InterpreterSearch, type InterpreterSearchOptions } from "./interpreters.ts"
import { type Isolation, type IsolationLimits, measureIsolation, unconfined } from "./isolation.ts"

export interface WorkerFacts {
  readonly interpreter: InterpreterSearch
  /** Null when there is no interpreter. */
  readonly environment: Environment | null
  readonly isolation: Isolation
  /** Below this level plugin code does not run. */
  readonly minimumIsolation: IsolationLevel
  /** True when plugins can run. */
  readonly ready: boolean
  /** What is missing and how to get it; null when ready. */
  readonly problem: string | null
}

export interface WorkerFactsOptions extends Omit<InterpreterSearchOptions, "isReady"> {
  readonly environmentsDir: string
  /** Holds `plugin_worker/`, which is asked what this machine can confine. */
  readonly pythonTree: string
  readonly minimumIsolation: IsolationLevel
  readonly isolationLimits: IsolationLimits
}

/** What `doctor`, health and the start say about running plugins. Looks at the machine and changes nothing. */
export async function workerFacts(options: WorkerFactsOptions): Promise<WorkerFacts> {
  const { environmentsDir, minimumIsolation } = options
  const interpreter = await findInterpreter({
    ...options,
    isReady: (candidate) => isSetUp(environmentsDir, candidate),
  })
  if (interpreter.chosen === null) {
    const isolation = unconfined("Without a Python there is nothing to confine.")
    const { problem } = interpreter
    return { interpreter, environment: null, isolation, minimumIsolation, ready: false, problem }
  }
  const environment = environmentOf({ environmentsDir, interpreter: interpreter.chosen })
  const isolation = await measureIsolation(interpreter.chosen, options.pythonTree, options.isolationLimits)
  const setup = `mixpeek runtime setup --data ${dirname(environmentsDir)}`
  const problem = environment.ready
    ? isolationProblem(isolation, minimumIsolation)
    : `The base packages for Python ${interpreter.chosen.version} are not installed. Run '${setup}'; without a package index, '${setup} --wheels DIR'.`
  return { interpreter, environment, isolation, minimumIsolation, ready: problem === null, problem }
}

/** Why plugin code does not run on this machine as it is set up, and what to do; null when it does. */
export function isolationProblem({ level, refusals }: Isolation, minimum: IsolationLevel): string | null {
  if (!isBelow(level, minimum)) return null
  return [
    `Plugin code does not run here: this machine isolates it at level '${level}', and the minimum is '${minimum}'.`,
    ...refusals.map(sentence),
    `To run plugins that you trust all the same, set MIXPEEK_MINIMUM_ISOLATION=${level} ('mixpeek serve': --minimum-isolation ${level}).`,
  ].join(" ")
}

/** Reasons end as the library that gave them ended them. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
