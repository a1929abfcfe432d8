/**
 * What a hostile plugin tries, as the body of a step: `place` has paths and pids of the test. `attempt` returns when it got
 * through; what the wall refuses raises, and what it ends never returns.
 */
export interface HostilePlugin {
  readonly name: string
  /** Python, run once per row with `place`, a dict. */
  readonly attempt: string
  /** Refused: the row fails with an error of the system. Ended: the worker is, with a reason of its own. */
  readonly outcome: "refused" | "ended"
  /** Part of what the author reads. */
  readonly says: RegExp
  /** False for what a static scan cannot tell from honest code, such as using too much memory. */
  readonly scanned: boolean
  /** Takes seconds: not in the gate. */
  readonly slow?: boolean
}

const NO_FILE =
  /Invalid cross-device link|The sandbox refused access to a file|Permission denied|Operation not permitted|No such file/
const NO_NETWORK = /The sandbox refused network access/
const NO_PROCESS = /The sandbox refused to start or signal a process|Operation not permitted|Permission denied/
const NO_OPERATION =
  /The sandbox refused|Operation not permitted|Permission denied|Function not implemented|EPERM|EACCES/

const file = (name: string, attempt: string, scanned = true): HostilePlugin => ({
  name,
  attempt,
  outcome: "refused",
  says: NO_FILE,
  scanned,
})
const network = (name: string, attempt: string): HostilePlugin => ({
  name,
  attempt,
  outcome: "refused",
  says: NO_NETWORK,
  scanned: true,
})
const process = (name: string, attempt: string): HostilePlugin => ({
  name,
  attempt,
  outcome: "refused",
  says: NO_PROCESS,
  scanned: true,
})
const RAW = `import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def raw(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
`
const call = (name: string, attempt: string): HostilePlugin => ({
  name,
  attempt: RAW + attempt,
  outcome: "refused",
  says: NO_OPERATION,
  scanned: true,
})

/** Numbers of system calls are those of x86-64. */
export const HOSTILE_PLUGINS: readonly HostilePlugin[] = [
  file("reads a file of the host", "open('/etc/passwd').read()"),
  file("reads a file of the host by pathlib", "import pathlib; pathlib.Path('/etc/passwd').read_text()", false),
  file("reads the database", "import pathlib; pathlib.Path(place['data'], 'metadata.sqlite').read_bytes()", false),
  file("lists the data directory", "os.listdir(place['data'])", false),
  file("reads another tenant's file", "import pathlib; pathlib.Path(place['secret']).read_text()", false),
  file(
    "reads the server's environment",
    "import pathlib; pathlib.Path(f\"/proc/{place['server']}/environ\").read_bytes()",
    false,
  ),
  file("reads the server's memory", "open(f\"/proc/{place['server']}/mem\", 'rb')"),
  file("reads its own environment", "import pathlib; pathlib.Path('/proc/self/environ').read_bytes()", false),
  file("writes outside", "import pathlib; pathlib.Path(place['outside'], 'new').write_text('x')", false),
  file("appends to a file outside", "open(place['secret'], 'a')"),
  file("truncates a file outside", "os.truncate(place['secret'], 0)", false),
  file("removes a file outside", "os.remove(place['secret'])", false),
  file("renames a file out", "open('kept', 'w').close(); os.rename('kept', place['outside'] + '/moved')"),
  file("renames a file in", "os.rename(place['secret'], 'stolen')", false),
  file("makes a symbolic link", "os.symlink(place['secret'], 'link')", false),
  file("makes a hard link", "os.link(place['secret'], 'hard')", false),
  file("makes a pipe", "os.mkfifo('fifo')", false),
  file("changes its own code", "import pathlib; pathlib.Path(__file__).write_text('x = 1')", false),
  file(
    "adds a file to its own code",
    "import pathlib; pathlib.Path(__file__).with_name('more.py').write_text('x = 1')",
    false,
  ),
  file("changes a library", "import numpy, pathlib; pathlib.Path(numpy.__file__).write_text('x = 1')", false),
  network("connects by TCP", "import socket; socket.create_connection(('127.0.0.1', 9), 1)"),
  network(
    "sends by UDP",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
  ),
  network("connects to a UNIX socket", "import socket; socket.socket(socket.AF_UNIX).connect(place['socket'])"),
  network(
    "uses an abstract socket",
    "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '\\0abstract')",
  ),
  network("listens", "import socket; socket.socket().bind(('127.0.0.1', 0))"),
  {
    ...network("asks for a page", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')"),
    scanned: false,
  },
  process("forks", "pid = os.fork()\nif pid == 0:\n    os._exit(0)"),
  process("starts a program", "import subprocess; subprocess.run(['true'])"),
  process("becomes a program", "os.execv('/bin/true', ['true'])"),
  process("spawns", "os.posix_spawn('/bin/true', ['true'], {})"),
  process("runs a shell", "if os.system('true') != 0:\n    raise PermissionError(1, 'Operation not permitted')"),
  process("starts a process pool", "import multiprocessing; multiprocessing.Process(target=print).start()"),
  process("signals the server", "os.kill(place['server'], 23)"),
  process("kills the server", "os.kill(place['server'], 9)"),
  call("traces the server", "raw(101, 16, place['server'], 0, 0)"),
  call("reads the server's memory by a call", "raw(310, place['server'], 0, 0, 0, 0, 0)"),
  call("limits the server", "import resource; resource.prlimit(place['server'], 0, (1, 1))"),
  call("slows the server", "os.setpriority(os.PRIO_PROCESS, place['server'], 19)"),
  call("slows all of its user", "os.setpriority(os.PRIO_USER, 0, 19)"),
  call(
    "makes shared memory",
    "import ctypes; raw(9, *[ctypes.c_long(number) for number in (0, 1 << 20, 3, 0x21, -1, 0)])",
  ),
  call(
    "makes a subvolume among the libraries",
    `import fcntl
folder = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
try: fcntl.ioctl(folder, 0x5000940E, bytearray(4096))
except OSError as error: raise OSError(f'EPERM, or as good as that: {error}') if error.errno == 95 else KeyError(error)`,
  ),
  call("makes a file in memory", "os.memfd_create('x')"),
  call("uses io_uring", "raw(425, 1, ctypes.create_string_buffer(120))"),
  call("leaves for a namespace", "raw(272, 0x10000000)"),
  call("mounts", "raw(165, b'none', place['outside'].encode(), b'tmpfs', 0, 0)"),
  call("becomes root", "os.setuid(0)"),
  call("changes an owner", "os.chown('.', 1, 1)"),
  call("loads a filter of its own", "raw(321, 0, 0, 0)"),
  call("starts a process by clone", "raw(56, 17, 0, 0, 0, 0)"),
  {
    name: "fills memory",
    attempt: "kept = [bytearray(b'x') * (64 << 20) for _ in range(64)]",
    outcome: "refused",
    says: /MemoryError/,
    scanned: false,
  },
  {
    name: "fills memory that would be shared",
    attempt:
      "import mmap\nkept = []\nwhile True:\n    kept.append(mmap.mmap(-1, 64 << 20)); kept[-1].write(b'x' * (64 << 20))",
    outcome: "refused",
    says: /MemoryError|Cannot allocate memory/,
    scanned: false,
  },
  {
    name: "fills tables of memory that is empty",
    attempt: `import mmap
kept = mmap.mmap(-1, 512 << 30, flags=0x4022, prot=mmap.PROT_READ)
for at in range(0, 512 << 30, 2 << 20): kept[at]
time.sleep(60)`,
    outcome: "ended",
    says: /MIXPEEK_WORKER_MEMORY_MB/,
    scanned: false,
  },
  {
    name: "watches descriptors without end",
    attempt: `import select
ends = [end for _ in range(100) for end in os.pipe()]; kept = [select.epoll() for _ in range(10)]
for epoll in kept:
    for number in range(900, 910):
        for end in ends:
            os.dup2(end, number); epoll.register(number, 1)
        os.close(number)
time.sleep(60)`,
    outcome: "ended",
    says: /it watched descriptors by epoll/,
    scanned: false,
    slow: true,
  },
  {
    name: "hides what it writes behind names that are no text",
    attempt: `for n in range(20):
    with open(b'\\xff%d' % n, 'wb') as big: big.write(b'x' * (16 << 20))
time.sleep(60)`,
    outcome: "ended",
    says: /MIXPEEK_WORKER_SCRATCH_MB/,
    scanned: false,
    slow: true,
  },
  {
    name: "fills the disk",
    attempt:
      "import pathlib\nfor n in range(1000):\n    pathlib.Path(f'f{n}').write_bytes(b'x' * (16 << 20)); time.sleep(0.01)",
    outcome: "ended",
    says: /MIXPEEK_WORKER_SCRATCH_MB/,
    scanned: false,
    slow: true,
  },
  {
    name: "keeps the room of files that it has removed",
    attempt: `import mmap
big = open('big', 'w+b'); big.write(b'x' * (300 << 20)); big.flush(); kept = mmap.mmap(big.fileno(), 300 << 20)
os.remove('big'); big.close(); time.sleep(60)`,
    outcome: "ended",
    says: /MIXPEEK_WORKER_SCRATCH_MB/,
    scanned: false,
    slow: true,
  },
  {
    name: "makes files without end",
    attempt: "import pathlib\nn = 0\nwhile True:\n    n += 1; pathlib.Path(f'f{n}').touch()",
    outcome: "ended",
    says: /MIXPEEK_WORKER_SCRATCH_FILES/,
    scanned: false,
    slow: true,
  },
  {
    name: "starts threads without end",
    attempt:
      "import threading\nwhile True:\n    threading.Thread(target=time.sleep, args=(600,), daemon=True).start(); time.sleep(0.001)",
    outcome: "ended",
    says: /MIXPEEK_WORKER_THREADS|can't start new thread/,
    scanned: true,
  },
  {
    name: "opens descriptors without end",
    attempt: "kept = []\nwhile True:\n    kept.append(os.dup(0))",
    outcome: "refused",
    says: /Too many open files/,
    scanned: false,
  },
  {
    name: "spins",
    attempt: "while True:\n    pass",
    outcome: "ended",
    says: /showed no progress within|MIXPEEK_WORKER_CPU_SECONDS/,
    scanned: false,
    slow: true,
  },
  {
    name: "prints without end",
    attempt: "while True:\n    print('x' * 4096)",
    outcome: "ended",
    says: /MIXPEEK_WORKER_LOG_MB/,
    scanned: false,
  },
  {
    name: "reports progress for ever",
    attempt: `import struct
while True:
    message = json.dumps({'type': 'progress', 'partition': '0', 'attempt': 1, 'rows': 1}).encode()
    os.write(3, struct.pack('<IIB', len(message) + 5, 0, 1) + message); time.sleep(0.1)`,
    outcome: "ended",
    says: /did not finish within/,
    scanned: false,
    slow: true,
  },
  {
    name: "burns processors in threads",
    attempt: "import hashlib\nwhile True:\n    hashlib.sha256(b'x' * (64 << 20)).digest()",
    outcome: "ended",
    says: /MIXPEEK_WORKER_CPU_SECONDS|showed no progress within/,
    scanned: false,
    slow: true,
  },
  {
    name: "answers more than is taken",
    attempt:
      "batch['label'] = ['x' * (8 << 20)] * len(batch)\nbatch[place['feature']] = [[0.0] * 4] * len(batch)\nreturn 'handed back'",
    outcome: "refused",
    says: /bytes|is over|more than/,
    scanned: false,
  },
  {
    name: "forges frames",
    attempt: "os.write(3, b'\\xf0\\xff\\xff\\xff' + b'x' * 100)\ntime.sleep(60)",
    outcome: "ended",
    says: /broke the protocol/,
    scanned: false,
  },
  {
    name: "closes its channel",
    attempt: "os.close(3)\ntime.sleep(60)",
    outcome: "ended",
    says: /worker|channel/,
    scanned: false,
  },
]
