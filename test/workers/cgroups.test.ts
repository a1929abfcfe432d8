/** Against a directory that looks like a control group: no machine of ours delegates a real one, so the kernel's part is untried. */
import { expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { delegatedCgroups } from "../../src/workers/cgroups.ts"
import { ask, errorOf, startFake, temporaryDirectory } from "./support.ts"

const MEBIBYTE = 1024 ** 2
const LIMITS = { memoryBytes: 512 * MEBIBYTE, threads: 100 }

async function hierarchy(controllers = "cpu io memory pids") {
  const directory = await temporaryDirectory()
  const base = join(directory.path, "system.slice", "mixpeek.service")
  mkdirSync(base, { recursive: true })
  writeFileSync(join(base, "cgroup.controllers"), `${controllers}\n`)
  for (const file of ["cgroup.procs", "cgroup.subtree_control"]) writeFileSync(join(base, file), "")
  const place = { mount: directory.path, membership: "0::/system.slice/mixpeek.service\n", pid: 4711 }
  return { base, place, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() }
}

test("a delegated group is divided: the appliance moves aside, each worker gets a bounded group", async () => {
  await using fake = await hierarchy()
  const groups = delegatedCgroups(fake.place)
  const read = (...path: string[]) => readFileSync(join(fake.base, ...path), "utf8")
  expect(read("appliance", "cgroup.procs")).toBe("4711")
  expect(read("cgroup.subtree_control")).toBe("+memory +pids")
  const group = groups?.create("worker-1", LIMITS)
  group?.add(123)
  expect(read("worker-1", "memory.max")).toBe(String(512 * MEBIBYTE))
  expect(read("worker-1", "memory.swap.max")).toBe("0")
  expect(read("worker-1", "memory.oom.group")).toBe("1")
  expect(Number(read("worker-1", "pids.max"))).toBeGreaterThan(100)
  expect(read("worker-1", "cgroup.procs")).toBe("123")
  expect(group?.ranOutOfMemory()).toBe(false)
  writeFileSync(join(fake.base, "worker-1", "memory.events"), "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n")
  expect(group?.ranOutOfMemory()).toBe(true)
})

test.each([
  ["no memory controller", "cpu io pids", "0::/system.slice/mixpeek.service\n"],
  ["version 1 only", "cpu io memory pids", "4:memory:/mixpeek\n1:name=systemd:/\n"],
  ["a path that is not there", "cpu io memory pids", "0::/elsewhere\n"],
])("with %s nothing is touched", async (_, controllers, membership) => {
  await using fake = await hierarchy(controllers)
  expect(delegatedCgroups({ ...fake.place, membership })).toBeNull()
  expect(existsSync(join(fake.base, "appliance"))).toBe(false)
})

test("a worker that the kernel ended for its group's memory dies of its limit, in words", async () => {
  let killed = false
  const group = { add: () => undefined, ranOutOfMemory: () => killed, remove: () => undefined }
  await using fake = await startFake("", { group })
  killed = true
  const error = await errorOf(
    ask(fake.worker, { do: "run", code: "import os, signal; os.kill(os.getpid(), signal.SIGKILL)" }),
  )
  expect(error).toMatchObject({ name: "WorkerDied", reason: "limit" })
  expect(String(error)).toContain("MIXPEEK_WORKER_MEMORY_MB")
  expect(fake.worker.isolationFacts.memory).toBe("cgroup")
})
