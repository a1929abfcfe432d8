import { expect } from "bun:test"
import { type Entry, HIDDEN, invalid, LONG, notFound, OWN } from "./entry.ts"
import { type Fixtures, freshTask } from "./fixtures.ts"

const one = "/v1/tasks/{task_id}"
const ofFresh = async (f: Fixtures) => ({ path: { task_id: await freshTask(f) } })
const unknown = notFound("an unknown task", { path: { task_id: "task_unknown" } })
const longTask = invalid("an over-long id", { path: { task_id: LONG } })
const kill = (operation: string): Entry => ({
  operation,
  request: ofFresh,
  answers: {
    what: "success, and a second time too",
    body: () => ({ success: true, message: expect.any(String) }),
    check: async (_, { ours }, call) => void (await ours.make("DELETE", `/v1/tasks/${call.path?.task_id}`)),
  },
  refuses: [unknown, longTask],
  foreign: HIDDEN,
  malformed: "none",
})

export const tasks: readonly Entry[] = [
  {
    operation: "POST /v1/tasks/list",
    request: () => ({ body: { task_type: "api_buckets_batches_process", limit: 1000 } }),
    answers: {
      what: "tasks",
      body: ({ ours }) => ({
        results: expect.arrayContaining([expect.objectContaining({ task_id: ours.taskId })]),
        pagination: expect.any(Object),
      }),
    },
    refuses: [
      invalid("a status with two L", { body: { status: "CANCELLED" } }),
      invalid("a limit of 0", { body: { limit: 0 } }),
    ],
    foreign: OWN,
    malformed: "json",
  },
  {
    operation: `GET ${one}`,
    request: ({ ours }) => ({ path: { task_id: ours.taskId } }),
    answers: {
      what: "the task",
      body: ({ ours }) => ({
        task_id: ours.taskId,
        task_type: "api_buckets_batches_process",
        status: "COMPLETED",
        additional_data: { batch_id: ours.batchId, bucket_id: ours.bucketId },
      }),
    },
    refuses: [unknown],
    foreign: HIDDEN,
    malformed: [longTask],
  },
  kill(`DELETE ${one}`),
  kill(`POST ${one}/kill`),
]
