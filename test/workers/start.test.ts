import { expect, test } from "bun:test"
import { PluginLoadFailed } from "../../src/workers/worker.ts"
import { WorkerDied } from "../../src/workers/worker-died.ts"
import { ask, errorOf, interpreter, openDescriptors, REAL_TREE, startFake, temporaryDirectory } from "./support.ts"

test("a worker that says nothing at the start is ended at its deadline", async () => {
  const error = await errorOf(startFake("hang_at_start", { startDeadlineMs: 300 }))
  expect(error).toBeInstanceOf(WorkerDied)
  expect(error).toMatchObject({ reason: "deadline" })
})

test("a worker that greets and then says nothing is ended at the same deadline", async () => {
  expect(await errorOf(startFake("mute_after_hello", { startDeadlineMs: 500 }))).toMatchObject({ reason: "deadline" })
})

test("a worker that dies at the start is reported with its code and its last words", async () => {
  const error = await errorOf(startFake("die_at_start"))
  expect(error).toMatchObject({ reason: "exit", code: 9, lastOutput: "no library" })
})

test.each(["other_protocol", "other_pid", "greet_twice"])(
  "a worker with a wrong greeting is refused: %s",
  async (behaviour) => {
    expect(await errorOf(startFake(behaviour))).toMatchObject({ name: "WorkerDied", reason: "protocol" })
  },
)

test("a plugin that cannot be loaded fails the start with the worker's words, and the worker is gone", async () => {
  const error = await errorOf(startFake("refuse_load"))
  expect(error).toBeInstanceOf(PluginLoadFailed)
  expect(error).toMatchObject({
    failure: { exception: "InvalidPlugin", message: "The plugin's directory is missing." },
  })
})

test("a start can be aborted", async () => {
  const abort = new AbortController()
  const start = startFake("hang_at_start", { signal: abort.signal })
  abort.abort()
  expect(await errorOf(start)).toMatchObject({ name: "WorkerDied", reason: "aborted" })
  expect(await errorOf(startFake("", { signal: AbortSignal.abort() }))).toMatchObject({ reason: "aborted" })
})

test("a program that cannot be started is an error and leaves no descriptor", async () => {
  const before = openDescriptors()
  await errorOf(startFake("", { interpreter: { ...interpreter, path: "/nonexistent/python" } }))
  expect(openDescriptors()).toBe(before)
})

test("the worker's environment is a short fixed list and what was added, never the server's", async () => {
  process.env.WORKERS_TEST_SECRET = "seen"
  await using fake = await startFake("", { threads: 3, environment: { ADDED: "1" } })
  delete process.env.WORKERS_TEST_SECRET
  const told = await ask(fake.worker, { do: "environment" })
  expect(told).toEqual({
    environment: expect.objectContaining({
      PATH: "/usr/bin:/bin",
      LANG: "C.UTF-8",
      HOME: fake.scratch,
      TMPDIR: fake.scratch,
      OMP_NUM_THREADS: "3",
      OPENBLAS_NUM_THREADS: "3",
      MKL_NUM_THREADS: "3",
      ADDED: "1",
    }),
    cwd: fake.scratch,
    pgid: fake.worker.pid,
  })
  expect(JSON.stringify(told)).not.toContain("WORKERS_TEST_SECRET")
})

test("the worker inherits its three streams and the channel, nothing else", async () => {
  await using fake = await startFake()
  // The last one is the directory that the worker itself opens to look.
  expect(await ask(fake.worker, { do: "descriptors" })).toEqual([0, 1, 2, 3, 4])
})

test("the real worker takes a plugin in and reads its manifest", async () => {
  await using plugin = await temporaryDirectory()
  const manifest = `feature_extractor_name = "sample"\nversion = "1.0"\nfeatures = [{"feature_name": "emb", "embedding_dim": 8}]\n`
  await Bun.write(`${plugin.path}/manifest.py`, manifest)
  await using fake = await startFake("", {
    pythonTree: REAL_TREE,
    plugin: { path: plugin.path, name: "", packageName: "plugin_1" },
  })
  expect(fake.worker).toMatchObject({ python: interpreter.version, isolation: "none", alive: true })
  const reply = await fake.worker.request({ type: "read_manifest" }, { deadlineMs: 30_000 })
  expect(reply).toMatchObject({
    type: "manifest",
    manifest: {
      feature_extractor_name: "sample",
      version: "1.0",
      features: [{ feature_name: "emb", embedding_dim: 8 }],
    },
    has_realtime: false,
  })
})
