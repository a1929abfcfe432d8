/** Forms with one file, read as they arrive: the file is handed on as a stream, never held in memory. */
import { Busboy, type BusboyFileStream, type BusboyInstance } from "@fastify/busboy"
import { ApplianceError, invalid } from "../errors.ts"
import { tooLarge } from "./request-body.ts"

/** Room for a few short fields beside the file. One more of each than is used, so that too many are told from enough. */
const LIMITS = { fields: 20, fieldSize: 16 * 1024, files: 2, parts: 22, headerPairs: 20, headerSize: 8 * 1024 }
/** What all of that and the boundaries may weigh. */
const BESIDE_THE_FILE_BYTES = 1024 * 1024

/**
 * Reads the whole form; `receive` gets the bytes of the part `file` and the sender waits for it. Its result is disposed of
 * when the form turns out to be none.
 * @throws UnsupportedMediaTypeError, PayloadTooLargeError, ValidationError without a file, BadRequestError for a form that is
 * cut off or broken, and what `receive` throws
 */
export async function readFileForm<T extends AsyncDisposable>(
  request: Request,
  fileBytes: number,
  receive: (chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<{ fields: Record<string, string>; file: T }> {
  const form = parser(request)
  const fields = new Map<string, string>()
  const streams: BusboyFileStream[] = []
  const receiving: Promise<T>[] = []
  const parsed = Promise.withResolvers<void>()
  const refuse = (message: string, cause?: unknown) => parsed.reject(badForm(message, cause))

  form.on("field", (name, value, _, truncated) => {
    if (truncated) refuse(`Form field '${name}' is longer than ${LIMITS.fieldSize} bytes.`)
    if (fields.has(name)) refuse(`Form field '${name}' occurs twice.`)
    fields.set(name, value)
  })
  form.on("file", (name, stream) => {
    // Whoever reads it hears of an error; who does not must not end the process by it.
    stream.on("error", () => undefined)
    streams.push(stream)
    if (name !== "file" || receiving.length > 0) {
      return refuse(name === "file" ? "The form has more than one file." : `Form field '${name}' takes no file.`)
    }
    const file = receive(stream)
    file.catch(parsed.reject)
    receiving.push(file)
  })
  for (const limit of ["partsLimit", "filesLimit", "fieldsLimit"] as const)
    form.on(limit, () => refuse("The form has too many parts."))
  form.on("error", (cause) => refuse("The form cannot be read as multipart/form-data.", cause))
  form.on("finish", parsed.resolve)

  try {
    await feed(request, form, fileBytes + BESIDE_THE_FILE_BYTES, parsed.promise)
    const file = await receiving[0]
    if (file !== undefined) return { fields: Object.fromEntries(fields), file }
    throw invalid("The form has no part named 'file'.", [
      { type: "missing", location: ["body", "file"], message: "is required" },
    ])
  } catch (error) {
    for (const stream of streams) stream.destroy(new Error("the form was refused"))
    for (const outcome of await Promise.allSettled(receiving)) {
      if (outcome.status === "fulfilled") await outcome.value[Symbol.asyncDispose]()
    }
    throw error
  }
}

function parser(request: Request): BusboyInstance {
  const contentType = request.headers.get("content-type") ?? ""
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) {
    throw new ApplianceError("UnsupportedMediaTypeError", "Send multipart/form-data with a part named 'file'.")
  }
  try {
    return new Busboy({ headers: { "content-type": contentType }, limits: LIMITS })
  } catch (cause) {
    throw badForm("The Content-Type names no usable boundary.", cause)
  }
}

/** Gives the parser the body chunk by chunk, as fast as it takes them. Resolves when all is parsed; a refusal ends it at once. */
async function feed(request: Request, form: BusboyInstance, limitBytes: number, parsed: Promise<void>): Promise<void> {
  if (Number(request.headers.get("content-length") ?? "0") > limitBytes) throw tooLarge(limitBytes)
  const reader = request.body?.getReader()
  if (reader === undefined) throw badForm("The form is empty.")
  const write = async () => {
    let bytes = 0
    for (;;) {
      const { value, done } = await reader.read().catch((cause: unknown) => {
        throw badForm(`The form ended early, after ${bytes} bytes.`, cause)
      })
      if (done) break
      bytes += value.byteLength
      if (bytes > limitBytes) throw tooLarge(limitBytes)
      await new Promise<void>((taken) => form.write(value, () => taken()))
    }
    form.end()
    await parsed
  }
  try {
    await Promise.race([write(), parsed])
  } finally {
    // Nobody reads on; that the sender may be gone already changes nothing.
    reader.cancel().catch(() => undefined)
  }
}

function badForm(message: string, cause?: unknown): ApplianceError {
  return new ApplianceError("BadRequestError", message, { cause })
}
