import { expect, test } from "bun:test"
import { join } from "node:path"
import { endLeftovers, recordProcess } from "../../src/workers/terminate.ts"
import {
  ask,
  errorOf,
  interpreter,
  openDescriptors,
  REAL_TREE,
  runs,
  startFake,
  temporaryDirectory,
  until,
} from "./support.ts"

test("an idle worker is asked to shut down and exits by itself", async () => {
  await using fake = await startFake()
  expect(await fake.worker.end()).toMatchObject({ reason: "ended", code: 0, signal: null })
})

test("ending twice, or after the death, gives the same exit", async () => {
  await using fake = await startFake()
  const [first, second] = await Promise.all([fake.worker.end(), fake.worker.end()])
  expect(second).toEqual(first)
  expect(await fake.worker.end()).toEqual(first)
})

test("a worker that ignores shutdown is ended by SIGTERM", async () => {
  await using fake = await startFake("ignore_shutdown")
  expect(await fake.worker.end()).toMatchObject({ reason: "ended", signal: "SIGTERM" })
})

test("a worker that ignores SIGTERM while it works is ended by SIGKILL; its request fails as aborted", async () => {
  await using fake = await startFake()
  await ask(fake.worker, { do: "ignore_sigterm" })
  const hanging = errorOf(ask(fake.worker, { do: "hang" }))
  expect(await fake.worker.end()).toMatchObject({ reason: "ended", signal: "SIGKILL" })
  expect(await hanging).toMatchObject({ reason: "aborted" })
})

test("a helper that the worker forked ends with it, even one that ignores SIGTERM", async () => {
  await using fake = await startFake()
  const { pid } = Object(await ask(fake.worker, { do: "fork", own_group: false }))
  expect(runs(pid)).toBe(true)
  await fake.worker.end()
  await until("the helper's end", () => !runs(pid))
})

test("a helper that left the group and holds the pipes open does not hold up the end, nor a descriptor", async () => {
  const before = openDescriptors()
  let helper = 0
  {
    await using fake = await startFake()
    helper = Object(await ask(fake.worker, { do: "fork", own_group: true })).pid
    await fake.worker.end()
  }
  expect(openDescriptors()).toBe(before)
  process.kill(helper, "SIGKILL")
})

test("fifty workers leave no descriptor, no process and no listener behind", async () => {
  {
    await using first = await startFake()
    await ask(first.worker, {})
  }
  const before = openDescriptors()
  const signal = new AbortController().signal
  for (let round = 0; round < 10; round++) {
    const five = await Promise.all(Array.from({ length: 5 }, () => startFake("", { signal })))
    const ends = five.map(async (fake, index) => {
      if (index === 0) await errorOf(ask(fake.worker, { do: "signal" }))
      if (index === 1) await errorOf(ask(fake.worker, { do: "garbage" }))
      await fake[Symbol.asyncDispose]()
      expect(runs(fake.worker.pid)).toBe(false)
    })
    await Promise.all(ends)
  }
  // The engine closes its own for a process that ended in a later turn; what a worker left stays.
  await until(`as few descriptors as before, ${before}`, () => openDescriptors() <= before)
})

test("leftovers are ended by pid and start time; a process of the same pid but another start is left alone", async () => {
  const sleeper = Bun.spawn(["sleep", "600"], { detached: true })
  const record = recordProcess(sleeper.pid)
  if (record === null) throw new Error("no record of a running process")
  expect(await endLeftovers([{ pid: record.pid, startTime: "another:1" }])).toEqual([])
  expect(sleeper.exitCode).toBe(null)
  expect(await endLeftovers([record])).toEqual([record])
  await sleeper.exited
  expect(sleeper.signalCode).toBe("SIGTERM")
  expect(await endLeftovers([record])).toEqual([])
})

test.if(process.platform === "linux")(
  "a helper that outlived its worker and the appliance is ended as a leftover",
  async () => {
    const leader = Bun.spawn(["sh", "-c", "sleep 600 <&- >&- 2>&- & echo $!; wait"], { detached: true, stdout: "pipe" })
    const { value } = await leader.stdout.getReader().read()
    const helper = Number(new TextDecoder().decode(value))
    const record = recordProcess(leader.pid)
    if (record === null) throw new Error("no record of a running process")
    leader.kill("SIGKILL")
    await leader.exited
    expect(runs(helper)).toBe(true)
    // A later process of the same number is no worker of ours, and neither is its group.
    const [boot, ticks] = record.startTime.split(":")
    expect(await endLeftovers([{ ...record, startTime: `${boot}:${Number(ticks) + 1_000_000}` }])).toEqual([])
    expect(await endLeftovers([record])).toEqual([record])
    expect(runs(helper)).toBe(false)
  },
)

test("a worker's record names it", async () => {
  await using fake = await startFake()
  expect(fake.worker.record).toEqual(recordProcess(fake.worker.pid))
})

test("a worker that hangs in plugin code does not outlive a killed appliance", async () => {
  await using plugin = await temporaryDirectory()
  const hang =
    "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.getpid())\ntime.sleep(3600)\n"
  await Bun.write(`${plugin.path}/manifest.py`, hang)
  const argv = [join(import.meta.dir, "fixtures", "start.ts"), REAL_TREE, plugin.path, JSON.stringify(interpreter)]
  const appliance = Bun.spawn([process.execPath, ...argv], { stdout: "pipe", stderr: "inherit" })
  const { value } = await appliance.stdout.getReader().read()
  const pid = Number(new TextDecoder().decode(value))
  expect(runs(pid)).toBe(true)
  appliance.kill("SIGKILL")
  await until("the worker's end", () => !runs(pid))
})
