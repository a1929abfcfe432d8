/** A worker that uses more than it may is ended, with a reason that names the limit and its setting; others go on. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { usedBytes, type WorkerLimits } from "../../src/workers/watchdog.ts"
import { ask, errorOf, interpreter, startFake, temporaryDirectory, UNCONFINED } from "./support.ts"

const MEBIBYTE = 1024 * 1024

test.each<[string, Partial<WorkerLimits>, string, string]>([
  [
    "memory of its own",
    { memoryBytes: 256 * MEBIBYTE },
    "kept = bytearray(b'x') * (400 << 20)",
    "of memory, more than its 256 MiB (MIXPEEK_WORKER_MEMORY_MB)",
  ],
  [
    "shared memory",
    { memoryBytes: 256 * MEBIBYTE },
    "import mmap; kept = mmap.mmap(-1, 400 << 20); kept.write(b'x' * (400 << 20))",
    "of memory, more than its 256 MiB (MIXPEEK_WORKER_MEMORY_MB)",
  ],
  [
    "threads",
    { threads: 20 },
    "import threading, time; [threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(40)]",
    "threads, more than its 20 (MIXPEEK_WORKER_THREADS)",
  ],
  [
    "bytes in its scratch",
    { scratchBytes: 20 * MEBIBYTE },
    "open('big', 'wb').write(b'x' * (40 << 20))",
    "into its scratch directory, more than its 20 MiB (MIXPEEK_WORKER_SCRATCH_MB)",
  ],
  [
    "bytes that it has removed and holds open",
    { scratchBytes: 20 * MEBIBYTE },
    "import os; kept = open('big', 'wb'); kept.write(b'x' * (40 << 20)); kept.flush(); os.remove('big')",
    "into its scratch directory, more than its 20 MiB (MIXPEEK_WORKER_SCRATCH_MB)",
  ],
  [
    "bytes in files and folders whose names are no UTF-8",
    { scratchBytes: 20 * MEBIBYTE },
    `import os
os.makedirs(b'\\xff'); [open(name, 'wb').write(b'x' * (15 << 20)) for name in (b'\\xfe', b'\\xff/\\xfe')]`,
    "into its scratch directory, more than its 20 MiB (MIXPEEK_WORKER_SCRATCH_MB)",
  ],
  [
    "descriptors that it watches, under many numbers",
    {},
    `import os, select
ends = [end for _ in range(100) for end in os.pipe()]; kept = [select.epoll() for _ in range(10)]
for epoll in kept:
    for number in range(900, 910):
        for end in ends: os.dup2(end, number); epoll.register(number, select.EPOLLIN)
        os.close(number)`,
    "it watched descriptors by epoll or locked places in files, more than 10000 of both together",
  ],
  [
    "places in files that it locks",
    {},
    `import fcntl
kept = [open(f'locked{n}', 'wb') for n in range(11)]
for file in kept:
    for place in range(1000, 0, -1): fcntl.lockf(file, fcntl.LOCK_EX, 1, 2 * place)`,
    "it watched descriptors by epoll or locked places in files, more than 10000 of both together",
  ],
  [
    "bytes on their way through a socket",
    { scratchBytes: 20 * MEBIBYTE },
    `import os, socket; kept = socket.socketpair(); big = open('big', 'wb'); big.write(b'x' * (40 << 20)); big.flush()
socket.send_fds(kept[0], [b'x'], [big.fileno()]); os.remove('big'); big.close()`,
    "it sent open files through a socket, so that what it writes cannot be counted",
  ],
  [
    "bytes in a folder whose path is too long to be opened",
    { scratchBytes: 20 * MEBIBYTE },
    `import os
for _ in range(20): os.mkdir('d' * 250); os.chdir('d' * 250)
open('big', 'wb').write(b'x' * (40 << 20))`,
    "it made a folder that cannot be looked into, so that what it writes cannot be counted",
  ],
  [
    "bytes in a folder that is elsewhere each time it is looked at",
    { scratchBytes: 20 * MEBIBYTE },
    `import itertools, os
os.mkdir('0'); open('0/big', 'wb').write(b'x' * (40 << 20))
for n in range(20000): open(f'f{n}', 'w').close()
for n in itertools.count(): os.rename(str(n), str(n + 1))`,
    "into its scratch directory, more than its 20 MiB (MIXPEEK_WORKER_SCRATCH_MB)",
  ],
  [
    "memory, after the thread it began with has ended",
    { memoryBytes: 256 * MEBIBYTE },
    `import ctypes, mmap, platform, threading, time
def fill():
    time.sleep(0.2); kept = mmap.mmap(-1, 400 << 20); kept.write(b'x' * (400 << 20)); time.sleep(60)
threading.Thread(target=fill).start(); ctypes.CDLL(None).syscall(60 if platform.machine() == 'x86_64' else 93, 0)`,
    "of memory, more than its 256 MiB (MIXPEEK_WORKER_MEMORY_MB)",
  ],
  [
    "tables of memory that is mapped and empty",
    { memoryBytes: 256 * MEBIBYTE },
    `import ctypes, mmap, time
empty = mmap.mmap(-1, 512 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ)
ctypes.CDLL(None).madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
for at in range(0, 512 << 30, 2 << 20): empty[at]`,
    "of memory, more than its 256 MiB (MIXPEEK_WORKER_MEMORY_MB)",
  ],
  [
    "bytes that it has removed, closed and keeps mapped",
    { scratchBytes: 20 * MEBIBYTE },
    `import mmap, os
big = open('big', 'w+b'); big.write(b'x' * (40 << 20)); big.flush(); kept = mmap.mmap(big.fileno(), 40 << 20)
os.remove('big'); big.close()`,
    "into its scratch directory, more than its 20 MiB (MIXPEEK_WORKER_SCRATCH_MB)",
  ],
  [
    "files in its scratch",
    { scratchFiles: 50 },
    "import os; os.makedirs('a/b'); [open(f'a/b/{n}', 'w').close() for n in range(100)]",
    "it made more than 50 files in its scratch directory (MIXPEEK_WORKER_SCRATCH_FILES)",
  ],
  [
    "processor time",
    { cpuMs: 1000 },
    "while True: pass",
    "of processor time, more than its 1 s (MIXPEEK_WORKER_CPU_SECONDS)",
  ],
  [
    "what it prints",
    { logBytes: MEBIBYTE },
    "while True: print('x' * 1000)",
    "it printed more than 1048576 bytes (MIXPEEK_WORKER_LOG_MB)",
  ],
  [
    "what it prints in one line",
    { logBytes: MEBIBYTE },
    "import os\nwhile True: os.write(2, b'x' * 1000)",
    "it printed more than 1048576 bytes (MIXPEEK_WORKER_LOG_MB)",
  ],
  [
    "what it prints in lines without text",
    { logBytes: 40 * MEBIBYTE },
    "import os\nfor _ in range(480): os.write(1, b'\\n' * 65536)",
    "it printed more than 41943040 bytes (MIXPEEK_WORKER_LOG_MB)",
  ],
])("a worker is ended for %s", async (_what, limits, code, expected) => {
  await using other = await startFake()
  await using fake = await startFake("", {
    confinement: { ...UNCONFINED, limits: { ...UNCONFINED.limits, ...limits } },
  })
  const error = await errorOf(ask(fake.worker, { do: "run", code: `${code}\nimport time; time.sleep(60)` }, 50_000))
  expect(error).toMatchObject({ name: "WorkerDied", reason: "limit" })
  expect(String(error)).toContain(expected)
  expect(await ask(other.worker, { still: "here" })).toEqual({ still: "here" })
})

test("what only root could see of removed files is taken from the looks before, and no more than sixteen are believed", async () => {
  await using directory = await temporaryDirectory()
  const looks = [
    process.execPath,
    join(import.meta.dir, "fixtures", "scratch-looks.ts"),
    directory.path,
    interpreter.path,
  ]
  // An appliance of an ordinary user's has no capabilities, and neither has this one.
  const ordinary = process.getuid?.() === 0 ? ["setpriv", "--bounding-set", "-all", ...looks] : looks
  const { stdout, exitCode } = Bun.spawnSync(ordinary, { stderr: "inherit" })
  expect(exitCode).toBe(0)
  expect(
    stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { mebibytes: 30, files: 1, hidden: null },
    { mebibytes: 30, files: 1, hidden: null },
    { mebibytes: 30, files: 21, hidden: "removed and closed more than 16 files that it has mapped" },
  ])
})

test("memory that is swapped out counts", () => {
  const status =
    "VmPTE:\t     100 kB\nVmSwap:\t    2000 kB\nRssAnon:\t   30000 kB\nRssFile:\t  400000 kB\nRssShmem:\t       0 kB\n"
  expect(usedBytes(status)).toBe(32_100 * 1024)
})

test("a worker within its limits is left alone", async () => {
  await using fake = await startFake("", {
    confinement: {
      ...UNCONFINED,
      limits: {
        memoryBytes: 256 * MEBIBYTE,
        threads: 20,
        scratchBytes: 20 * MEBIBYTE,
        scratchFiles: 50,
        openFiles: 64,
        cpuMs: 60_000,
        logBytes: MEBIBYTE,
      },
    },
  })
  const code =
    "import time; kept = bytearray(b'x') * (50 << 20); open('small', 'wb').write(kept[:1 << 20]); time.sleep(2.5)"
  await ask(fake.worker, { do: "run", code })
  expect(fake.worker.alive).toBe(true)
})

test("a worker whose folders come and go is left alone", async () => {
  await using fake = await startFake()
  const code = `import shutil, tempfile, time
end = time.monotonic() + 4
while time.monotonic() < end:
    shutil.rmtree(tempfile.mkdtemp(dir="."))`
  expect(await ask(fake.worker, { do: "run", code })).toBeDefined()
})
