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
  413: failure("The body is too large"),
  415: failure("The body is of another type than is taken here"),
  422: failure("Request is not valid"),
  429: failure("More requests than the namespace or the key may make in this window"),
  /** Bun's own answer to more than 16 KiB, before any of our code. */
  431: { description: "Address and headers are too large; there is no body" },
  500: failure("Unexpected fault"),
} as const

export const INFERENCE_ERRORS = {
  502: failure("The worker died while it executed the request"),
  503: failure("Nothing answers yet: a rollout is under way"),
  504: failure("Over the deadline"),
} as const

export const NOT_ENABLED = { 501: failure("Not offered by this version yet") } as const

/** What a signed URL can answer beside its bytes; a failing signature is 403. */
export const SIGNED_ERRORS = {
  403: ERRORS[403],
  404: ERRORS[404],
  422: ERRORS[422],
  431: ERRORS[431],
  500: ERRORS[500],
} as const

/** What sending bytes to a signed URL can answer besides. */
export const SIGNED_UPLOAD_ERRORS = { ...SIGNED_ERRORS, 400: ERRORS[400], 413: ERRORS[413] } as const

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
