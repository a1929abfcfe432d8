"""What plugins of test_lock_down.py do."""

# Answers a dict of what happened per attempt: "refused (errno name)", or what came of it.
HOSTILE = '''
import ctypes, errno, mmap, os, signal, socket, sys, threading, time
import pandas as pd

libc = ctypes.CDLL(None, use_errno=True)

def raw(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), "raw")
    return result

def unix(kind, address):
    pair = socket.socketpair(socket.AF_UNIX, kind)
    return pair[0].sendto(b"x", address)

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"

def opened(path, flags):
    os.close(os.open(path, flags))

def attributes(path):
    import fcntl
    with open(path, "rb") as file:
        flags = bytearray(8)
        fcntl.ioctl(file, 0x80086601, flags)
        # The same again: who may set these may set others.
        fcntl.ioctl(file, 0x40086602, bytes(flags))

def subvolume(path):
    import fcntl
    folder = os.open(path, os.O_RDONLY)
    # BTRFS_IOC_SUBVOL_CREATE
    fcntl.ioctl(folder, 0x5000940E, bytearray(8) + b"volume".ljust(4088, b"\\0"))

def program_of_a_socket():
    import struct
    # BPF: return all of it
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF))
    # SO_ATTACH_FILTER
    socket.socketpair()[0].setsockopt(socket.SOL_SOCKET, 26, struct.pack("@HP", 1, ctypes.addressof(program)))

def whiteout(path):
    open(path, "w").close()
    # RENAME_WHITEOUT
    return raw(316, -100, path.encode(), -100, (path + "_moved").encode(), 4)

def lock_of_a_description(path):
    import fcntl, struct
    with open(path, "wb") as file:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))

def attempts(outside, server, socket_path, inside):
    kept = inside + "/kept"
    open(kept, "w").write("x")
    return {
        "read_passwd": lambda: open("/etc/passwd").read(),
        "read_outside": lambda: open(outside + "/secret").read(),
        "list_outside": lambda: os.listdir(outside),
        "list_root": lambda: os.listdir("/"),
        "read_environ_of_server": lambda: open(f"/proc/{server}/environ").read(),
        "read_memory_of_server": lambda: open(f"/proc/{server}/mem", "rb"),
        "read_own_environ": lambda: open("/proc/self/environ").read(),
        "write_outside": lambda: open(outside + "/new", "w"),
        "append_outside": lambda: open(outside + "/secret", "a"),
        "truncate_outside": lambda: os.truncate(outside + "/secret", 0),
        "reading_truncates": lambda: opened(outside + "/secret", os.O_RDONLY | os.O_TRUNC),
        "no_access_mode": lambda: opened(outside + "/secret", 3),
        "no_access_mode_truncates": lambda: opened(outside + "/secret", 3 | os.O_TRUNC),
        "no_access_mode_of_a_device": lambda: opened("/dev/tty", 3),
        "remove_outside": lambda: os.remove(outside + "/secret"),
        "rename_outside": lambda: os.rename(kept, outside + "/moved"),
        "rename_in": lambda: os.rename(outside + "/secret", inside + "/stolen"),
        "mkdir_outside": lambda: os.mkdir(outside + "/folder"),
        "symlink": lambda: os.symlink(outside + "/secret", inside + "/link"),
        "hard_link": lambda: os.link(outside + "/secret", inside + "/hard"),
        "fifo": lambda: os.mkfifo(inside + "/fifo"),
        "tcp": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "ipv6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "unix": lambda: socket.socket(socket.AF_UNIX).connect(socket_path),
        "abstract": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", "\\0abstract"),
        "datagram_pair": lambda: unix(socket.SOCK_DGRAM, socket_path),
        "stream_pair_re_aimed": lambda: unix(socket.SOCK_STREAM, socket_path),
        "closed_folder": lambda: os.mkdir(inside + "/closed", 0o300),
        # os.umask hides an error.
        "closing_mask": lambda: raw(95, 0o700),
        "out_of_band": lambda: socket.socketpair()[0].send(b"x", socket.MSG_OOB),
        "fork": fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "kill_server": lambda: os.kill(server, signal.SIGURG),
        "kill_group": lambda: os.kill(0, signal.SIGURG),
        "priority_of_server": lambda: os.setpriority(os.PRIO_PROCESS, server, 19),
        "priority_of_its_group": lambda: os.setpriority(os.PRIO_PGRP, 0, 19),
        "priority_of_its_user": lambda: os.setpriority(os.PRIO_USER, 0, 19),
        "ptrace": lambda: raw(101, 16, server, 0, 0),
        "limit_of_server": lambda: __import__("resource").prlimit(server, 0, (1, 1)),
        "memfd": lambda: os.memfd_create("x"),
        "io_uring": lambda: raw(425, 1, ctypes.create_string_buffer(120)),
        "unshare": lambda: raw(272, 0x10000000),
        "setuid": lambda: os.setuid(0),
        "chown": lambda: os.chown(inside, 1, 1),
        "x32": lambda: raw(0x40000000 + 39),
        "bpf": lambda: raw(321, 0, 0, 0),
        "descriptors_of_its_own": lambda: raw(436, 100, 200, 2),
        # Were it let through, the kernel would say EINVAL: a thread must share memory too.
        "thread_with_descriptors_of_its_own": lambda: raw(56, 0x10000, 0, 0, 0, 0),
        "clone3": lambda: raw(435, ctypes.create_string_buffer(88), 88),
        "owner_of_signals": lambda: __import__("fcntl").fcntl(3, __import__("fcntl").F_SETOWN, server),
        "attributes_of_a_library": lambda: attributes(os.__file__),
        # Whoever unmaps all of it but a page keeps the rest, and only root sees it.
        "shared_memory": lambda: raw(9, 0, 1 << 20, 3, 0x21, -1, 0) and None,
        "shared_memory_of_a_device": lambda: opened("/dev/zero", os.O_RDWR),
        "program_of_a_socket": program_of_a_socket,
        "device_left_by_a_rename": lambda: whiteout(inside + "/white"),
        "lock_of_a_description": lambda: lock_of_a_description(inside + "/locked"),
        "subvolume_among_the_libraries": lambda: subvolume(os.path.dirname(os.__file__)),
        "stat_outside": lambda: os.stat(outside + "/secret"),
    }

class Hostile:
    def __call__(self, frame):
        row = frame.iloc[0]
        happened = {}
        for name, attempt in attempts(row["outside"], int(row["server"]), row["socket"], os.getcwd()).items():
            try:
                happened[name] = f"DONE {attempt()!r}"[:100]
            except OSError as error:
                happened[name] = errno.errorcode.get(error.errno, str(error.errno))
        frame["happened"] = [happened]
        return frame

steps = [Hostile()]
'''

HONEST = '''
import mimetypes, mmap, os, pathlib, shutil, sqlite3, tarfile, tempfile, threading, asyncio, zoneinfo, platform
from concurrent.futures import ThreadPoolExecutor
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq

class Honest:
    def __call__(self, frame):
        with ThreadPoolExecutor(4) as pool:
            sums = list(pool.map(lambda n: float((np.random.rand(n, n) @ np.eye(n)).shape[0]), [200] * 8))
        with tempfile.TemporaryDirectory() as folder:
            table = pa.table({"a": list(range(1000))})
            pq.write_table(table, folder + "/a.parquet")
            total = pc.sum(pq.read_table(folder + "/a.parquet", use_threads=True)["a"]).as_py()
            shutil.copy2(folder + "/a.parquet", folder + "/b.parquet")
            with tarfile.open(folder + "/a.tar", "w") as archive:
                archive.add(folder + "/a.parquet", "a")
            with tarfile.open(folder + "/a.tar") as archive:
                archive.extractall(folder + "/out")
            os.mkdir(folder + "/moved")
            os.rename(folder + "/b.parquet", folder + "/b2.parquet")
            pathlib.Path(folder, "touched").touch()
            pathlib.Path(folder, "touched").touch()
            os.remove(folder + "/touched")
            database = sqlite3.connect(folder + "/a.sqlite")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE t (a)")
            database.commit()
            database.close()
        grouped = pd.DataFrame({"k": ["a", "b"] * 500, "v": range(1000)}).groupby("k")["v"].sum()
        slept = asyncio.run(asyncio.to_thread(lambda: "thread"))
        zoneinfo.ZoneInfo("Europe/Vienna")
        platform.platform()
        with open(os.devnull, "w") as null:
            null.write("x")
        for named in ({}, {"access": mmap.ACCESS_WRITE}, {"flags": mmap.MAP_SHARED, "prot": mmap.PROT_READ | mmap.PROT_WRITE}):
            with mmap.mmap(-1, 1 << 20, **named) as memory:
                memory.write(b"x" * (1 << 20))
        with mmap.mmap(fileno=-1, length=4096, access=mmap.ACCESS_READ) as memory:
            assert memory[:2] == bytes(2) and isinstance(memory, mmap.mmap)
        frame["result"] = [f"{sum(sums)} {total} {int(grouped.sum())} {slept} {mimetypes.guess_type('a.txt')[0]}"] * len(frame)
        return frame

steps = [Honest()]
'''

REFUSED = '''
import os, socket, subprocess, urllib.request

def attempt(name):
    if name == "file":
        open("/etc/passwd")
    if name == "socket":
        socket.create_connection(("10.0.0.1", 80), 1)
    if name == "http":
        urllib.request.urlopen("http://example.com/")
    if name == "program":
        subprocess.run(["true"])
    if name == "fork":
        os.fork()

class Refused:
    def __call__(self, frame):
        for name in frame["text"]:
            attempt(name)
        return frame

steps = [Refused()]
'''

DEVICE = '''
import os, threading

class Opens:
    def __call__(self, frame):
        def tried(path):
            try:
                os.close(os.open(path, os.O_RDWR))
                return "open"
            except PermissionError:
                return "refused"
        own = f"/proc/self/task/{threading.get_native_id()}/comm"
        frame["happened"] = [tried(own if path == "its own thread" else path) for path in frame["text"]]
        return frame

steps = [Opens()]
'''

TIMERS = '''
import ctypes, resource

class Makes:
    def __call__(self, frame):
        made, libc = 0, ctypes.CDLL(None)
        # SIGEV_NONE: nobody is told.
        event = ctypes.create_string_buffer(b"\\0" * 12 + b"\\1", 64)
        while made < 1_000_000 and libc.timer_create(1, event, ctypes.byref(ctypes.c_void_p())) == 0:
            made += 1
        limits = [resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_RTPRIO, resource.RLIMIT_NICE)]
        frame["happened"] = [[made, *limits]]
        return frame

steps = [Makes()]
'''
