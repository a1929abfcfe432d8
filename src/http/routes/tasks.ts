import { createRoute, z } from "@hono/zod-openapi"
import type { Tasks } from "../../batches/tasks.ts"
import { PagingQuery, pageOf, paginationOf } from "../../contract/pagination.ts"
import { ListTasks, ListTasksResponse, TaskKilled, TaskModel } from "../../contract/tasks.ts"
import { selectRecords } from "../../filtering.ts"
import type { App } from "../app.ts"
import { ERRORS, json, jsonRequest } from "../route.ts"

interface Deps {
  tasks: Tasks
}

const tags = ["Tasks"]
const Params = z.object({ task_id: z.string().min(1).max(128) })

const list = createRoute({
  method: "post",
  path: "/v1/tasks/list",
  tags,
  summary: "List tasks, newest first",
  request: { query: PagingQuery, body: jsonRequest(ListTasks) },
  responses: { 200: { description: "Tasks", content: json(ListTasksResponse) }, ...ERRORS },
})
const get = createRoute({
  method: "get",
  path: "/v1/tasks/{task_id}",
  tags,
  summary: "Get a task",
  request: { params: Params },
  responses: { 200: { description: "The task", content: json(TaskModel) }, ...ERRORS },
})
const killed = { 200: { description: "The task is ended", content: json(TaskKilled) }, ...ERRORS }
const kill = createRoute({
  method: "delete",
  path: "/v1/tasks/{task_id}",
  tags,
  summary: "End a task; again is a success too",
  request: { params: Params },
  responses: killed,
})
const killByPost = createRoute({
  method: "post",
  path: "/v1/tasks/{task_id}/kill",
  tags,
  summary: "End a task",
  request: { params: Params },
  responses: killed,
})

export function taskRoutes(app: App, { tasks }: Deps): void {
  app.openapi(list, (c) => {
    const body = c.req.valid("json")
    const chosen = tasks
      .list(c.get("caller"))
      .filter(
        (task) =>
          (body.status == null || task.status === body.status) &&
          (body.task_type == null || task.task_type === body.task_type),
      )
    const all = selectRecords(chosen, body, ["task_id", "task_type"])
    const page = pageOf(c.req.valid("query"), body)
    return c.json(
      { results: all.slice(page.offset, page.offset + page.limit), pagination: paginationOf(page, all.length) },
      200,
    )
  })
  app.openapi(get, (c) => c.json(tasks.get(c.get("caller"), c.req.valid("param").task_id), 200))
  const done = { success: true as const, message: "The task is ended." }
  app.openapi(kill, (c) => {
    tasks.kill(c.get("caller"), c.req.valid("param").task_id)
    return c.json(done, 200)
  })
  app.openapi(killByPost, (c) => {
    tasks.kill(c.get("caller"), c.req.valid("param").task_id)
    return c.json(done, 200)
  })
}
