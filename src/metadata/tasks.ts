import type { Db } from "./open.ts"

export interface TaskRow {
  task_id: string
  internal_id: string
  namespace_id: string | null
  task_type: string
  status: string
  inputs: string
  outputs: string
  additional_data: string
  error: string | null
  created_at: string
  updated_at: string
}

interface TaskScope {
  internalId: string
  /** JSON list, or null. */
  namespaceIds: string | null
}

export function taskReader(db: Db) {
  const scope = `internal_id = @internalId
    AND (@namespaceIds IS NULL OR namespace_id IN (SELECT value FROM json_each(@namespaceIds)))`
  const get = db.prepare<TaskScope & { taskId: string }, TaskRow>(
    `SELECT * FROM tasks WHERE ${scope} AND task_id = @taskId`,
  )
  const list = db.prepare<TaskScope, TaskRow>(
    `SELECT * FROM tasks WHERE ${scope} ORDER BY created_at DESC, task_id LIMIT 10000`,
  )
  const scoped = (internalId: string, namespaceIds: readonly string[] | null): TaskScope => ({
    internalId,
    namespaceIds: namespaceIds === null ? null : JSON.stringify(namespaceIds),
  })
  return {
    /** `namespaceIds` null: of all namespaces, and of the organization itself. */
    get: (internalId: string, namespaceIds: readonly string[] | null, taskId: string) =>
      get.get({ ...scoped(internalId, namespaceIds), taskId }),
    /** The newest 10,000: as far as an offset reaches (api.md §0.3). `namespaceIds` as in `get`. */
    list: (internalId: string, namespaceIds: readonly string[] | null) => list.all(scoped(internalId, namespaceIds)),
  }
}

export function taskWriter(db: Db) {
  const insert = db.prepare<TaskRow>(
    `INSERT INTO tasks (task_id, internal_id, namespace_id, task_type, status, inputs, outputs, additional_data, error,
       created_at, updated_at)
     VALUES (@task_id, @internal_id, @namespace_id, @task_type, @status, @inputs, @outputs, @additional_data, @error,
       @created_at, @updated_at)`,
  )
  const move = db.prepare<[string, string | null, string, string]>(
    "UPDATE tasks SET status = ?, error = ?, updated_at = ? WHERE task_id = ?",
  )
  const finishDeletion = db.prepare<[string, string]>(
    `UPDATE tasks SET status = 'COMPLETED', updated_at = ?
     WHERE namespace_id = ? AND task_type = 'api_namespaces_delete' AND status = 'PENDING'`,
  )
  return {
    insert: (row: TaskRow) => void insert.run(row),
    finishDeletion: (namespaceId: string, at: string) => void finishDeletion.run(at, namespaceId),
    move: (taskId: string, status: string, error: string | null, at: string) =>
      void move.run(status, error, at, taskId),
  }
}
