import type { TaskModel } from "../contract/tasks.ts"
import { notFound } from "../errors.ts"
import type { Metadata } from "../metadata/open.ts"
import type { TaskRow } from "../metadata/tasks.ts"
import type { Caller } from "../organizations/authentication.ts"
import type { Namespaces } from "../organizations/namespaces.ts"
import { taskStatus } from "./model.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  confinement: Namespaces["confinement"]
  /** Ends the batch behind a task; nothing happens when it has ended. */
  cancelBatch: (batchId: string) => void
}

export function tasks({ metadata, confinement, cancelBatch }: Deps) {
  const find = (caller: Caller, taskId: string): TaskRow => {
    const row = metadata.read.tasks.get(caller.internalId, confinement(caller), taskId)
    if (row === undefined) throw notFound("task", taskId)
    return row
  }
  return {
    get: (caller: Caller, taskId: string): TaskModel => taskModel(find(caller, taskId)),
    list: (caller: Caller): TaskModel[] =>
      metadata.read.tasks.list(caller.internalId, confinement(caller)).map(taskModel),
    /** Idempotent: killing a task that has ended is a success. */
    kill(caller: Caller, taskId: string): void {
      const { additional_data: data } = find(caller, taskId)
      const { batch_id: batchId }: { batch_id?: unknown } = JSON.parse(data)
      if (typeof batchId === "string") cancelBatch(batchId)
    },
  }
}

export type Tasks = ReturnType<typeof tasks>

export function taskModel(row: TaskRow): TaskModel {
  return {
    task_id: row.task_id,
    task_type: row.task_type,
    status: taskStatus(row.status),
    inputs: JSON.parse(row.inputs),
    outputs: JSON.parse(row.outputs),
    additional_data: JSON.parse(row.additional_data),
    error: row.error,
    error_message: row.error,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}
