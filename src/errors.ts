/**
 * The one error of the product: something the caller asked for and cannot have, and can act on. Its `type` is the name
 * on the wire; `http/error-response.ts` holds the one table from type to status. Anything else that is thrown is a fault.
 */
export type ErrorType =
  | "BadRequestError"
  | "UnauthorizedError"
  | "ForbiddenError"
  | "NotEnabledError"
  | "QuotaExceededError"
  | "NotFoundError"
  | "MethodNotAllowedError"
  | "AlreadyExistsError"
  | "PayloadTooLargeError"
  | "UnsupportedMediaTypeError"
  | "ValidationError"
  | "TooManyRequestsError"
  | "InternalServerError"
  | "ServiceUnavailableError"
  | "TimeoutError"
  | "ProcessingError"
  | "BadGatewayError"
  | "InferenceServiceUnavailableError"

export interface ErrorExtra {
  /** Goes under `error.details`. */
  readonly details?: Record<string, unknown>
  /** Keys at the root of the answer, beside the envelope, where the public API shows a body of its own (`detail`, `violations`). */
  readonly beside?: Record<string, unknown>
  /** Response headers that belong to the error, such as `Retry-After`. */
  readonly headers?: Record<string, string>
  readonly cause?: unknown
}

export class ApplianceError extends Error {
  override readonly name = "ApplianceError"
  readonly type: ErrorType
  readonly details: Record<string, unknown> | undefined
  readonly beside: Record<string, unknown> | undefined
  readonly headers: Record<string, string> | undefined

  constructor(type: ErrorType, message: string, extra: ErrorExtra = {}) {
    super(message, extra.cause === undefined ? {} : { cause: extra.cause })
    this.type = type
    this.details = extra.details
    this.beside = extra.beside
    this.headers = extra.headers
  }
}

/** 404 with the resource and id the contract asks for in `details`. */
export function notFound(resource: string, id: string): ApplianceError {
  return new ApplianceError("NotFoundError", `${resource} '${id}' was not found.`, { details: { resource, id } })
}

export interface FieldProblem {
  readonly type: string
  readonly location: readonly (string | number)[]
  readonly message: string
}

/** What a schema found, as far as anybody reads; `where` is the part of the request: body, query, param, header. */
export function fieldProblems(
  where: string,
  issues: readonly { readonly code?: string; readonly path: readonly PropertyKey[]; readonly message: string }[],
): FieldProblem[] {
  return issues.slice(0, 100).map(({ code, path, message }) => ({
    type: code ?? "invalid",
    location: [where, ...path.map((key) => (typeof key === "symbol" ? String(key) : key))],
    message,
  }))
}

/** 422 with one entry per offending field in `details.validation_errors`. */
export function invalid(message: string, problems: readonly FieldProblem[]): ApplianceError {
  return new ApplianceError("ValidationError", message, { details: { validation_errors: problems } })
}
