/** Workers forked from a warm Python: as apart from one another, as confined and as certainly ended as those started anew. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { closeSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createLog } from "../../src/log.ts"
import { type Launcher, startLauncher } from "../../src/workers/launcher.ts"
import { signalGroup } from "../../src/workers/terminate.ts"
import { startWorker, threadCounts } from "../../src/workers/worker.ts"
import { SHARED_DATA } from "../support/appliance.ts"
import { REACHED } from "../support/isolation.ts"
import {
  errorOf,
  interpreter,
  openDescriptors,
  REAL_TREE,
  runs,
  temporaryDirectory,
  UNCONFINED,
  until,
} from "./support.ts"

const environments = join(SHARED_DATA, "environments")
const sitePackages = [...new Bun.Glob("*/site-packages").scanSync({ cwd: environments, onlyFiles: false })].map(
  (path) => realpathSync(join(environments, path)),
)
const linux = process.platform === "linux"
const log = createLog("silent")
let launcher: Launcher

const start = () =>
  startLauncher({
    interpreterPath: interpreter.path,
    pythonTree: realpathSync(REAL_TREE),
    sitePackages,
    environment: { PATH: "/usr/bin:/bin", ...threadCounts(1) },
    log,
  })

beforeAll(async () => {
  if (linux) launcher = await start()
})
afterAll(() => launcher?.end())

/** A worker whose plugin answers `predict` by running the request's code; `answer` is what it leaves. */
async function forked(from: Launcher, options: { environment?: Record<string, string> } = {}) {
  await using starting = new AsyncDisposableStack()
  const directory = starting.use(await temporaryDirectory())
  const [plugin, scratch] = ["plugin", "scratch"].map((name) => join(realpathSync(directory.path), name))
  for (const path of [plugin, scratch]) mkdirSync(path ?? "")
  const realtime = `class BaseInferenceService:
    def predict(self, request):
        scope = {}
        exec(request["code"], scope)
        return {"answer": scope["answer"]}

class RealtimeInferenceService(BaseInferenceService):
    pass
`
  writeFileSync(
    join(plugin ?? "", "manifest.py"),
    'feature_extractor_name = "warm_one"\nversion = "1.0.0"\nfeatures = []\n',
  )
  writeFileSync(join(plugin ?? "", "realtime.py"), realtime)
  const lines: string[] = []
  const worker = starting.use(
    await startWorker({
      launcher: from,
      interpreter,
      pythonTree: REAL_TREE,
      scratch: scratch ?? "",
      exchange: scratch ?? "",
      plugin: { path: plugin ?? "", name: "warm_one", packageName: "plugin_1" },
      sitePackages,
      confinement: { ...UNCONFINED, level: REACHED },
      onLog: ({ stream, text }) => lines.push(`${stream}: ${text}`),
      log,
      ...options,
    }),
  )
  const constructed = await worker.request({ type: "construct_realtime" }, { deadlineMs: 30_000 })
  expect(constructed.type).toBe("realtime_constructed")
  const run = async (code: string): Promise<unknown> => {
    const reply = await worker.request({ type: "predict", request: { code } }, { deadlineMs: 30_000 })
    if (reply.type !== "predicted") throw new Error(JSON.stringify(reply))
    return (reply.response as { answer: unknown }).answer
  }
  const running = starting.move()
  return { worker, lines, run, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

test.skipIf(!linux)("a fork answers, prints and is confined like any worker", async () => {
  await using fake = await forked(launcher)
  expect(fake.worker.isolation).toBe(REACHED)
  const code = `import pandas, sys
print("to stdout"); print("to stderr", file=sys.stderr)
answer = pandas.DataFrame({"a": [1, 2]})["a"].sum().item()`
  expect(await fake.run(code)).toBe(3)
  await until("both lines", () => fake.lines.length === 2)
  expect(fake.lines.sort()).toEqual(["stderr: to stderr", "stdout: to stdout"])
  const status = readFileSync(`/proc/${fake.worker.pid}/status`, "utf8")
  if (REACHED !== "none") expect(status).toMatch(/^Seccomp:\s+2$/m)
})

test.skipIf(!linux)("forks share nothing: neither random numbers, environment, directory nor descriptors", async () => {
  await using first = await forked(launcher, { environment: { MINE: "first" } })
  await using second = await forked(launcher, { environment: { MINE: "second" } })
  const code = `import os, random, numpy, uuid
answer = [os.environ["MINE"], os.getcwd(), random.random(), numpy.random.random(), str(uuid.uuid4()),
          numpy.random.default_rng().random(), [fd for fd in range(64) if _open(fd)]]`.replace(
    "answer",
    `def _open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
answer`,
  )
  const [one, two] = (await Promise.all([first.run(code), second.run(code)])) as [unknown[], unknown[]]
  expect(one[0]).toBe("first")
  expect(two[0]).toBe("second")
  for (const index of [1, 2, 3, 4, 5]) expect(one[index]).not.toBe(two[index])
  // Input, output, errors and the channel.
  expect((one[6] as number[]).filter((descriptor) => descriptor < 4)).toEqual([0, 1, 2, 3])
})

test.skipIf(!linux)("how a fork ended is told: by its code, by its signal", async () => {
  await using first = await forked(launcher)
  expect(await errorOf(first.run("import os; os._exit(7)"))).toMatchObject({
    name: "WorkerDied",
    reason: "exit",
    code: 7,
  })
  await using second = await forked(launcher)
  process.kill(second.worker.pid, "SIGKILL")
  expect(await second.worker.exited).toMatchObject({ reason: "signal", signal: "SIGKILL" })
  expect(launcher.alive).toBe(true)
})

test.skipIf(!linux)("a fork that ends itself by a signal without a name takes nobody with it", async () => {
  await using other = await forked(launcher)
  await using first = await forked(launcher)
  expect(await errorOf(first.run("import os; os.kill(os.getpid(), 35)"))).toMatchObject({
    name: "WorkerDied",
    reason: "signal",
    signal: "35",
  })
  expect(launcher.alive).toBe(true)
  expect(await other.run("answer = 1")).toBe(1)
})

test.skipIf(!linux)("forty forks leave no process and no descriptor behind", async () => {
  {
    await using warm = await forked(launcher)
    void warm
  }
  const before = openDescriptors()
  const pids: number[] = []
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        await using fake = await forked(launcher)
        pids.push(fake.worker.pid)
      }),
    )
  }
  await until("all are reaped", () => pids.every((pid) => !runs(pid)) && launcher.children === 0)
  await until("all are closed", () => openDescriptors() <= before)
})

test.skipIf(!linux)("forks end with their launcher, and their requests fail", async () => {
  const own = await start()
  await using fake = await forked(own)
  const request = errorOf(fake.run("import time; time.sleep(60)"))
  process.kill(own.pid, "SIGKILL")
  expect(await request).toMatchObject({ name: "WorkerDied" })
  await until("it is gone", () => !runs(fake.worker.pid))
  expect(own.alive).toBe(false)
  expect(String(await errorOf(own.fork({ environment: {}, directory: "/" })))).toContain("launcher of workers ended")
})

test.skipIf(!linux)("a fork can be ended from the moment it is told", async () => {
  for (let round = 0; round < 20; round++) {
    await using directory = await temporaryDirectory()
    const forkedNow = await launcher.fork({ environment: {}, directory: directory.path })
    expect(signalGroup(forkedNow.pid, "SIGKILL")).toBe(true)
    expect(await forkedNow.exited).toEqual({ code: null, signal: "SIGKILL" })
    closeSync(forkedNow.channel)
    await Promise.all([forkedNow.stdout.cancel(), forkedNow.stderr.cancel()])
  }
})
