/**
 * Questions to plugin code outside of a batch: its manifest, whether parameters fit its schema. Each is asked in a worker
 * of its own, started for it and ended after it; plugin code never runs in the appliance.
 */
import type { Manifest, WorkerFailure } from "../workers/protocol.ts"
import type { PluginCode, WorkerStarter } from "../workers/starter.ts"
import { PluginLoadFailed, type Worker } from "../workers/worker.ts"
import { WorkerDied } from "../workers/worker-died.ts"

export type ManifestReading =
  | {
      readonly ok: true
      readonly manifest: Manifest
      readonly warnings: readonly string[]
      readonly hasRealtime: boolean
    }
  | { readonly ok: false; readonly error: WorkerFailure }

export type ParameterReading =
  | { readonly valid: true }
  | {
      readonly valid: false
      readonly errors: readonly { location: readonly (string | number)[]; message: string; type: string }[]
    }
  | { readonly valid: null; readonly message: string; readonly details: Record<string, unknown> }

interface Deps {
  starter: Pick<WorkerStarter, "start">
  deadlineMs: number
}

export function pluginProbe({ starter, deadlineMs }: Deps) {
  async function ask<T>(plugin: PluginCode, question: (worker: Worker) => Promise<T>): Promise<T | Unanswered> {
    try {
      await using worker = await starter.start(plugin)
      return await question(worker)
    } catch (error) {
      if (error instanceof PluginLoadFailed) return { unanswered: error.failure }
      if (error instanceof WorkerDied) return { unanswered: death(error) }
      throw error
    }
  }

  return {
    /** @throws ServiceUnavailableError while no Python environment is set up */
    async readManifest(plugin: PluginCode): Promise<ManifestReading> {
      const answer = await ask(plugin, async (worker): Promise<ManifestReading> => {
        const reply = await worker.request({ type: "read_manifest" }, { deadlineMs })
        if (reply.type === "failed") return { ok: false, error: reply.error }
        return { ok: true, manifest: reply.manifest, warnings: reply.warnings, hasRealtime: reply.has_realtime }
      })
      return "ok" in answer ? answer : { ok: false, error: answer.unanswered }
    },

    /** @throws ServiceUnavailableError while no Python environment is set up */
    async checkParameters(
      plugin: PluginCode,
      parameters: Readonly<Record<string, unknown>>,
    ): Promise<ParameterReading> {
      const answer = await ask(plugin, async (worker): Promise<ParameterReading> => {
        const reply = await worker.request(
          { type: "validate_parameters", parameters: { ...parameters } },
          { deadlineMs },
        )
        if (reply.type === "failed") return unchecked(reply.error)
        return reply.type === "parameters_valid" ? { valid: true } : { valid: false, errors: reply.errors }
      })
      return "valid" in answer ? answer : unchecked(answer.unanswered)
    },
  }
}

interface Unanswered {
  readonly unanswered: WorkerFailure
}

function death(error: WorkerDied): WorkerFailure {
  return {
    error_type: "runtime",
    exception: "WorkerDied",
    message: error.message,
    traceback: error.lastOutput,
    stage: "plugin",
  }
}

function unchecked({ message, exception, traceback }: WorkerFailure): ParameterReading {
  return {
    valid: null,
    message: `The plugin could not check its parameters: ${message}`,
    details: { exception, traceback },
  }
}
