/** Shapes that every route file uses: JSON content, the envelope's responses, the namespace header, creating once. */
import { z } from "@hono/zod-openapi"
import type { Context } from "hono"
import { ErrorResponse } from "../contract/errors.ts"
import type { Idempotency, KeyOwner, Remember } from "../organizations/idempotency.ts"
import type { Namespace, Namespaces } from "../organizations/namespaces.ts"
import type { HttpEnv } from "./app.ts"

export function json<T extends z.ZodType>(schema: T) {
  return { "application/json": { schema } }
}

export function jsonRequest<T extends z.ZodType>(schema: T) {
  return { required: true, content: json(schema) }
}

const failure = (description: string) => ({ description, content: json(ErrorResponse) })

/** The errors any authenticated route can give. */
export const ERRORS = {
  400: failure("Bad request"),
  401: failure("No valid API key"),
  403: failure("Not allowed for this key"),
  404: failure("Not found"),
  422: failure("Request is not valid"),
  429: failure("More requests than the namespace or the key may make in this window"),
  500: failure("Unexpected fault"),
} as const

export const CONFLICT = { 409: failure("Already exists") } as const

export const NamespaceHeader = z.object({
  "x-namespace": z.string().max(128).optional().openapi({ description: "Namespace id or name" }),
})

export const IdempotencyHeader = z.object({
  "idempotency-key": z
    .string()
    .max(255)
    .optional()
    .openapi({ description: "Repeats answer what the first call answered" }),
})

export const NamespacedCreate = NamespaceHeader.extend(IdempotencyHeader.shape)

export function namespaceOf(c: Context<HttpEnv>, namespaces: Namespaces): Namespace {
  return namespaces.resolve(c.get("caller"), c.req.header("x-namespace"))
}

/** Runs a create once per Idempotency-Key; without the header it simply runs. */
export async function createOnce<T extends object>(
  c: Context<HttpEnv>,
  idempotency: Idempotency,
  owner: KeyOwner,
  status: number,
  create: (remember: Remember) => Promise<T> | T,
): Promise<T> {
  const key = c.req.header("idempotency-key")
  if (key === undefined || key === "") return create(() => {})
  const request = {
    method: c.req.method,
    path: `${c.req.path}?${new URL(c.req.url).search}`,
    body: new TextDecoder().decode(c.get("body") ?? new Uint8Array()),
  }
  const { answer, replayed } = await idempotency.once(owner, key, request, status, async (remember) => create(remember))
  if (replayed) c.header("Idempotency-Replayed", "true")
  // What was stored is what this route's own handler answered to the same request.
  return answer as T
}
