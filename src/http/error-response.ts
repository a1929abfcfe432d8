import type { Context } from "hono"
import { HTTPException } from "hono/http-exception"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import { type ZodError, z } from "zod"
import { ApplianceError, type ErrorType, fieldProblems, invalid } from "../errors.ts"
import type { Log } from "../log.ts"
import type { HttpEnv } from "./app.ts"

/** zod speaks of what JavaScript saw, undefined and NaN; callers know what they sent. */
z.config({
  customError: ({ code, input, values }) => {
    if (code === "invalid_type" && input === undefined) return "is required"
    if (code === "invalid_value" && input === undefined && Array.isArray(values))
      return `is required: one of ${values.join(", ")}`
    return code === "invalid_type" && Number.isNaN(input) ? "must be a number" : undefined
  },
})

/** The one table of statuses; a new error type without a status does not compile. */
const STATUS = {
  BadRequestError: 400,
  UnauthorizedError: 401,
  ForbiddenError: 403,
  NotEnabledError: 501,
  QuotaExceededError: 403,
  NotFoundError: 404,
  MethodNotAllowedError: 405,
  AlreadyExistsError: 409,
  PayloadTooLargeError: 413,
  UnsupportedMediaTypeError: 415,
  ValidationError: 422,
  TooManyRequestsError: 429,
  InternalServerError: 500,
  ServiceUnavailableError: 503,
  TimeoutError: 504,
  ProcessingError: 500,
  BadGatewayError: 502,
  InferenceServiceUnavailableError: 503,
} as const satisfies Record<ErrorType, ContentfulStatusCode>

export function errorResponse(c: Context<HttpEnv>, thrown: unknown, log: Log): Response {
  const asked = { requestId: c.get("requestId"), method: c.req.method, path: c.req.path }
  const told = thrown instanceof HTTPException ? (c.get("malformedBody") ?? thrown) : thrown
  const { status, headers, body } = failureOf(told, asked, log)
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  return c.json(body, status)
}

/** The answer to what was thrown, which is logged when nobody expected it. */
export function failureOf(
  thrown: unknown,
  asked: { requestId: string; method: string; path: string },
  log: Log,
): { status: ContentfulStatusCode; headers: Readonly<Record<string, string>>; body: object } {
  const error = expected(thrown)
  if (error === null) return { status: 500, headers: {}, body: fault(thrown, asked, log) }
  const status = STATUS[error.type]
  return {
    status,
    headers: error.headers ?? {},
    body: { success: false, status, error: envelope(error, status), ...error.beside },
  }
}

/** The envelope for what never gets as far as the app: no request id, no log line. */
export function bareFailure(status: 400 | 500, type: ErrorType, message: string): Response {
  return Response.json({ success: false, status, error: { message, type, code: String(status) } }, { status })
}

function envelope(error: ApplianceError, status: number) {
  return {
    message: error.message,
    type: error.type,
    code: String(status),
    ...(error.details === undefined ? {} : { details: error.details }),
  }
}

function expected(thrown: unknown): ApplianceError | null {
  if (thrown instanceof ApplianceError) return thrown
  // hono and zod-openapi throw these for a body that is not JSON; their own bodies do not carry the envelope.
  if (thrown instanceof HTTPException && thrown.status < 500)
    return new ApplianceError("BadRequestError", thrown.message)
  return null
}

/** Nothing of an unexpected fault leaves but an id under which the log has it whole. */
function fault(thrown: unknown, asked: { requestId: string; method: string; path: string }, log: Log): object {
  const { requestId, method, path } = asked
  log.error({ request_id: requestId, event: "request_failed", err: thrown, method, path }, "unexpected fault")
  return {
    success: false,
    status: 500,
    error: {
      message: `The appliance failed on this request. Its log has the details under request id ${requestId}.`,
      type: "InternalServerError",
      code: "500",
      details: { request_id: requestId },
    },
  }
}

/**
 * zod's findings as the contract's 422 (api.md §0.2). `where` is the part of the request: body, query, param, header;
 * `repeated` says of a field whether the request has it more than once.
 */
export function validationError(
  where: string,
  error: ZodError,
  repeated: (name: string) => boolean = () => false,
): ApplianceError {
  const problems = fieldProblems(where, error.issues).map((problem) =>
    repeated(String(problem.location[1])) ? { ...problem, message: "is given more than once" } : problem,
  )
  const first = problems[0]
  const place = first === undefined ? where : first.location.join(".")
  return invalid(`Request is not valid at ${place}: ${first?.message ?? "unknown reason"}`, problems)
}
