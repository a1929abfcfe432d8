import type { HealthResponse, ReadyResponse } from "../contract/health.ts"
import type { DeploymentCondition } from "../contract/plugins.ts"
import type { Metadata } from "../metadata/open.ts"
import type { WorkerFacts } from "../workers/worker-facts.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  documentsAlive: () => boolean
  /** Asks the documents process a real question. */
  documentsAnswer: () => Promise<boolean>
  workerFacts: () => Promise<WorkerFacts>
  storageWritable: () => Promise<boolean>
  /** Of everything that is deployed. */
  deployments: () => DeploymentCondition[]
  version: string
}

export function health(deps: Deps) {
  const tell = async (deep: boolean): Promise<HealthResponse> => {
    const facts = await deps.workerFacts()
    const metadata = answers(() => deps.metadata.read.organizations.count() >= 0)
    const documents = deep ? await deps.documentsAnswer() : deps.documentsAlive()
    const storage = deep ? await deps.storageWritable() : true
    const errors = [
      ...(metadata ? [] : ["The metadata database does not answer."]),
      ...(documents ? [] : ["The documents process does not answer."]),
      ...(storage ? [] : ["The data directory cannot be written."]),
      ...(facts.problem === null ? [] : [facts.problem]),
    ]
    return {
      status: errors.length === 0 ? "OK" : "DEGRADED",
      data: {
        // There is no cache apart from the processes themselves.
        cache: true,
        metadata,
        vector_store: documents,
        object_storage: storage,
        task_queue: metadata,
        inference: facts.ready,
      },
      ...(errors.length === 0 ? {} : { errors }),
      meta: {
        version: deps.version,
        isolation: facts.isolation.level,
        isolation_facts: facts.isolation.facts,
        isolation_missing: [...facts.isolation.refusals],
        minimum_isolation: facts.minimumIsolation,
        python: facts.interpreter.chosen?.version ?? null,
      },
    }
  }
  return {
    /** `deep` asks the child processes; otherwise what is known already is answered. */
    health: tell,

    /**
     * Whether requests should be sent here: the parts answered a real question now, and unless nothing is deployed, some deployment is
     * not failing. One customer's broken plugin does not take the others' endpoints out of rotation.
     */
    async ready(): Promise<ReadyResponse> {
      const { errors = [] } = await tell(true)
      const conditions = deps.deployments()
      const failing = conditions.filter((condition) => condition === "failing").length
      const problems =
        conditions.length > 0 && failing === conditions.length
          ? [...errors, "No deployment answers: the workers of all of them died, hung or did not start."]
          : errors
      return {
        ready: problems.length === 0,
        deployments: { live: conditions.length, failing },
        ...(problems.length === 0 ? {} : { errors: problems }),
      }
    },
  }
}

export type Health = ReturnType<typeof health>

function answers(question: () => boolean): boolean {
  try {
    return question()
  } catch {
    return false
  }
}

/** Whether a part answers at all. */
export async function succeeds(question: () => Promise<unknown>): Promise<boolean> {
  try {
    await question()
    return true
  } catch {
    // Whatever the reason, health says that it does not answer; the part itself logs why.
    return false
  }
}
