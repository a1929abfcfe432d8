import { expect, test } from "bun:test"
import { readFileForm } from "../../src/http/multipart.ts"
import { inPieces, refusal } from "./support.ts"

const FILE_BYTES = 200_000

interface Kept extends AsyncDisposable {
  readonly bytes: number
}

/** Counts what arrives; `kept` tells what was received and not disposed of. */
function receiver() {
  const kept = new Set<Kept>()
  const receive = async (chunks: AsyncIterable<Uint8Array>): Promise<Kept> => {
    let bytes = 0
    for await (const chunk of chunks) bytes += chunk.byteLength
    const file: Kept = {
      bytes,
      async [Symbol.asyncDispose]() {
        kept.delete(file)
      },
    }
    kept.add(file)
    return file
  }
  return { kept, receive }
}

async function formRequest(form: FormData): Promise<{ type: string; bytes: Uint8Array<ArrayBuffer> }> {
  const whole = new Request("http://appliance/", { method: "POST", body: form })
  return { type: whole.headers.get("content-type") ?? "", bytes: new Uint8Array(await whole.arrayBuffer()) }
}

function request(type: string, chunks: AsyncIterable<Uint8Array>): Request {
  const iterator = chunks[Symbol.asyncIterator]()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await iterator.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
  })
  return new Request("http://appliance/", { method: "POST", headers: { "content-type": type }, body })
}

/** The form as a slow sender gives it: in pieces, without Content-Length. */
function sent(type: string, bytes: Uint8Array, piece = 777): Request {
  return request(type, inPieces(bytes, piece))
}

function pluginForm(size = 100_000, order: "fields first" | "file first" = "fields first"): FormData {
  const form = new FormData()
  const file = new File([new Uint8Array(size)], "plugin.zip")
  if (order === "file first") form.append("file", file)
  form.append("name", "my_extractor")
  form.append("version", "1.0.0")
  if (order === "fields first") form.append("file", file)
  return form
}

test.each(["fields first", "file first"] as const)("a form is read whole with its %s", async (order) => {
  const { type, bytes } = await formRequest(pluginForm(100_000, order))
  const { receive, kept } = receiver()
  const { fields, file } = await readFileForm(sent(type, bytes), FILE_BYTES, receive)
  expect(fields).toEqual({ name: "my_extractor", version: "1.0.0" })
  expect(file.bytes).toBe(100_000)
  expect(kept.size).toBe(1)
})

test("a form cut off anywhere is refused and keeps nothing", async () => {
  const { type, bytes } = await formRequest(pluginForm(2_000))
  for (const end of [10, 100, 300, 600, 1_500, bytes.byteLength - 40, bytes.byteLength - 6]) {
    const { receive, kept } = receiver()
    const error = await refusal(readFileForm(sent(type, bytes.subarray(0, end)), FILE_BYTES, receive))
    expect({ end, type: error.type }).toEqual({ end, type: "BadRequestError" })
    expect(kept.size).toBe(0)
  }
})

test("a sender that goes away is refused and keeps nothing", async () => {
  const { type, bytes } = await formRequest(pluginForm())
  async function* broken() {
    yield bytes.subarray(0, 5_000)
    throw new Error("connection reset")
  }
  const { receive, kept } = receiver()
  const form = request(type, broken())
  expect((await refusal(readFileForm(form, FILE_BYTES, receive))).type).toBe("BadRequestError")
  expect(kept.size).toBe(0)
})

test("a form without a file, with two, or with a field twice is refused and keeps nothing", async () => {
  const none = new FormData()
  none.append("name", "my_extractor")
  const two = pluginForm()
  two.append("file", new File(["x"], "b.zip"))
  const other = pluginForm()
  other.append("icon", new File(["x"], "icon.png"))
  const twice = pluginForm()
  twice.append("name", "another_name")
  const long = pluginForm()
  long.append("description", "x".repeat(20_000))
  const many = pluginForm()
  for (let index = 0; index < 30; index++) many.append(`field_${index}`, "x")
  for (const [form, expected] of [
    [none, "ValidationError"],
    [two, "BadRequestError"],
    [other, "BadRequestError"],
    [twice, "BadRequestError"],
    [long, "BadRequestError"],
    [many, "BadRequestError"],
  ] as const) {
    const { type, bytes } = await formRequest(form)
    const { receive, kept } = receiver()
    expect((await refusal(readFileForm(sent(type, bytes), FILE_BYTES, receive))).type).toBe(expected)
    expect(kept.size).toBe(0)
  }
})

test("a receiver that refuses the file ends the reading at once, though the sender goes on", async () => {
  const { type, bytes } = await formRequest(pluginForm(150_000))
  let read = 0
  async function* endless() {
    yield bytes.subarray(0, 50_000)
    for (;;) {
      read++
      yield new Uint8Array(10_000)
      await Bun.sleep(1)
    }
  }
  const form = request(type, endless())
  const receive = async (chunks: AsyncIterable<Uint8Array>): Promise<Kept> => {
    for await (const _ of chunks) throw new Error("the disk is full")
    throw new Error("no bytes")
  }
  expect((await refusal(readFileForm(form, 100_000_000, receive))).message).toBe("the disk is full")
  expect(read).toBeLessThan(200)
})

test("a body over the file's limit is refused, announced or not", async () => {
  const { type, bytes } = await formRequest(pluginForm(2_000_000))
  for (const announced of [true, false]) {
    const { receive, kept } = receiver()
    const form = announced
      ? new Request("http://appliance/", {
          method: "POST",
          headers: { "content-type": type, "content-length": String(bytes.byteLength) },
          body: bytes,
        })
      : sent(type, bytes, 50_000)
    expect((await refusal(readFileForm(form, FILE_BYTES, receive))).type).toBe("PayloadTooLargeError")
    expect(kept.size).toBe(0)
  }
})

test.each(["application/json", "multipart/mixed; boundary=x", ""])("content type '%s' is not taken", async (type) => {
  const error = await refusal(readFileForm(sent(type, new Uint8Array(10)), FILE_BYTES, receiver().receive))
  expect(error.type).toBe("UnsupportedMediaTypeError")
})

test("a form without a boundary is refused", async () => {
  const error = await refusal(
    readFileForm(sent("multipart/form-data", new Uint8Array(10)), FILE_BYTES, receiver().receive),
  )
  expect(error.type).toBe("BadRequestError")
})
