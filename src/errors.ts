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

interface SchemaIssue {
  readonly code?: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** Of a union: what each of its members found. */
  readonly errors?: readonly (readonly SchemaIssue[])[]
}

/** What a schema found, as far as anybody reads; `where` is the part of the request: body, query, param, header. */
export function fieldProblems(where: string, issues: readonly SchemaIssue[]): FieldProblem[] {
  return issues
    .flatMap(fromMembers)
    .slice(0, 100)
    .map(({ code, path, message }) => ({
      type: code ?? "invalid",
      location: [where, ...path.map((key) => (typeof key === "symbol" ? String(key) : key))],
      message,
    }))
}

/** A union says "Invalid input" of whatever it is; what helps is what the member found that was meant. */
function fromMembers(issue: SchemaIssue): readonly SchemaIssue[] {
  const { errors = [], path, message } = issue
  if (errors.length === 0 || message !== "Invalid input") return [issue]
  // A member that looks inside has the right type already.
  const meant = errors.find((found) => found.length > 0 && found.every((inner) => inner.path.length > 0))
  if (meant !== undefined) return meant.flatMap((inner) => fromMembers({ ...inner, path: [...path, ...inner.path] }))
  return [
    { ...issue, message: errors.flatMap((found) => found.slice(0, 1).map((inner) => inner.message)).join("; or ") },
  ]
}

/** 422 with one entry per offending field in `details.validation_errors`. */
export function invalid(message: string, problems: readonly FieldProblem[]): ApplianceError {
  return new ApplianceError("ValidationError", message, { details: { validation_errors: problems } })
}
