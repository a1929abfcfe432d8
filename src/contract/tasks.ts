import { z } from "@hono/zod-openapi"
import { ListBody, Pagination } from "./pagination.ts"

/** Values the SDK knows (api.md §0.6); `CANCELLED` with two L breaks it. */
export const TASK_STATUSES = [
  "PENDING",
  "IN_PROGRESS",
  "PROCESSING",
  "COMPLETED",
  "COMPLETED_WITH_ERRORS",
  "FAILED",
  "CANCELED",
  "UNKNOWN",
  "SKIPPED",
  "DRAFT",
  "ACTIVE",
  "ARCHIVED",
  "SUSPENDED",
  "QUEUED",
] as const
export const TaskStatus = z.enum(TASK_STATUSES).openapi("TaskStatusEnum")
export type TaskStatus = z.output<typeof TaskStatus>

export const TaskModel = z
  .object({
    task_id: z.string(),
    task_type: z.string(),
    status: TaskStatus,
    inputs: z.array(z.unknown()),
    outputs: z.array(z.unknown()),
    additional_data: z.looseObject({}),
    error: z.string().nullable(),
    error_message: z.string().nullable(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .openapi("TaskResponse")
export type TaskModel = z.output<typeof TaskModel>

export const ListTasks = ListBody.extend({
  status: TaskStatus.nullish(),
  task_type: z.string().max(128).nullish(),
}).openapi("ListTasksRequest")

export const ListTasksResponse = z
  .object({ results: z.array(TaskModel), pagination: Pagination })
  .openapi("ListTasksResponse")

export const TaskKilled = z.object({ success: z.literal(true), message: z.string() }).openapi("TaskKilled")
