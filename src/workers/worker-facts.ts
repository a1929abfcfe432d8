import { dirname } from "node:path"
import { type BaseEnvironment, baseEnvironment } from "./environment.ts"
import { findInterpreter, type InterpreterSearch, type InterpreterSearchOptions } from "./interpreters.ts"
import { ISOLATION } from "./worker.ts"

export interface WorkerFacts {
  readonly interpreter: InterpreterSearch
  /** Null when there is no interpreter. */
  readonly environment: BaseEnvironment | null
  readonly isolation: typeof ISOLATION
  /** True when plugins can run. */
  readonly ready: boolean
  /** What is missing and how to get it; null when ready. */
  readonly problem: string | null
}

/** What `doctor`, health and the start say about running plugins. Looks at the machine and changes nothing. */
export async function workerFacts(
  options: Omit<InterpreterSearchOptions, "isReady"> & { readonly environmentsDir: string },
): Promise<WorkerFacts> {
  const { environmentsDir } = options
  const interpreter = await findInterpreter({
    ...options,
    isReady: (candidate) => baseEnvironment({ environmentsDir, interpreter: candidate }).ready,
  })
  if (interpreter.chosen === null) {
    return { interpreter, environment: null, isolation: ISOLATION, ready: false, problem: interpreter.problem }
  }
  const environment = baseEnvironment({ environmentsDir, interpreter: interpreter.chosen })
  const setup = `mixpeek runtime setup --data ${dirname(environmentsDir)}`
  const problem = environment.ready
    ? null
    : `The base packages for Python ${interpreter.chosen.version} are not installed. Run '${setup}'; without a package index, '${setup} --wheels DIR'.`
  return { interpreter, environment, isolation: ISOLATION, ready: environment.ready, problem }
}
