"""What a locked-down worker can and cannot do, at each level that this machine allows, as this user."""

import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest

from lock_down_plugins import DEVICE, HONEST, HOSTILE, REFUSED, TIMERS
from support import PYTHON_TREE, Message, WorkerProcess, plugin_of


def probe(landlock_abi: int = 99, namespaces: int = 1) -> Message:
    program = os.path.join(PYTHON_TREE, "plugin_worker", "isolation_probe.py")
    command = [os.path.realpath(sys.executable), "-I", "-S", "-B", program, str(landlock_abi), str(namespaces)]
    answer: Message = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


REACHED = probe()["level"]
FULL = {"level": "full"}
STANDARD = {"level": "standard"}
OLD_KERNELS = [{**STANDARD, "landlock_abi_at_most": abi} for abi in (1, 3, 5)]


def policies() -> list[Message]:
    """Those that refuse files and calls; what this machine lacks is said, not passed over."""
    if REACHED not in ("full", "standard"):
        print(f"NOTE: this machine reaches isolation {REACHED!r}; lock-down is not tested here", file=sys.stderr)
        return []
    if REACHED == "standard":
        print("NOTE: this machine refuses namespaces; level 'full' is not tested here", file=sys.stderr)
        return [STANDARD, *OLD_KERNELS]
    return [FULL, STANDARD, *OLD_KERNELS]


# Not refused by design: `stat` of outside paths below level full.
_STAT = "stat_outside"


class LockedDown(unittest.TestCase):
    def test_what_reaches_outside_is_refused(self) -> None:
        for policy in policies():
            with self.subTest(policy), tempfile.TemporaryDirectory() as outside:
                outside = os.path.realpath(outside)
                secret = os.path.join(outside, "secret")
                with open(secret, "w", encoding="utf-8") as file:
                    file.write("a secret")
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                    listener.bind(os.path.join(outside, "socket"))
                    listener.setblocking(False)
                    happened = self._attempts({**policy, "hide": [outside]}, outside)
                    with self.assertRaises(BlockingIOError):
                        listener.recv(10)
                through = {name: what for name, what in happened.items() if what.startswith("DONE")}
                self.assertEqual(set(through), set() if policy["level"] == "full" else {_STAT})
                self.assertGreater(len(happened), 40)
                self.assertEqual(happened["thread_with_descriptors_of_its_own"], "EPERM")
                # ENOTTY would be the file system's own answer, which is not btrfs.
                self.assertEqual(happened["subvolume_among_the_libraries"], "ENOTSUP")
                with open(secret, encoding="utf-8") as file:
                    self.assertEqual(file.read(), "a secret")
                self.assertEqual(sorted(os.listdir(outside)), ["secret", "socket"])

    def test_numpy_pandas_and_pyarrow_work_with_threads(self) -> None:
        for policy in policies():
            with self.subTest(policy), WorkerProcess(plugin_of(HONEST), policy=policy) as worker:
                self.assertEqual(worker.build()["type"], "steps_built")
                result = worker.run([{"text": "a"}])
                self.assertEqual(result.reply["type"], "partition_done", result.reply)
                self.assertEqual(result.errors, {})
                self.assertEqual(result.fields[0]["result"], "1600.0 499500 499500 thread text/plain")

    def test_a_refusal_names_what_was_refused_and_what_to_do_instead(self) -> None:
        for policy in policies()[:2]:
            with self.subTest(policy), WorkerProcess(plugin_of(REFUSED), policy=policy) as worker:
                worker.build()
                result = worker.run([{"text": name} for name in ("file", "socket", "http", "program", "fork")])
                said = {row: str(error["message"]) for row, error in result.errors.items()}
                self.assertEqual(len(said), 5, result.reply)
                for row, expected in enumerate(
                    (
                        "The sandbox refused access to a file (/etc/passwd). Read assets",
                        "The sandbox refused network access (10.0.0.1 80). Only steps of resource type API have any",
                        "The sandbox refused network access (example.com",
                        "The sandbox refused to start or signal a process (true). Do the work in Python",
                        "The sandbox refused to start or signal a process. Do the work in Python",
                    )
                ):
                    self.assertIn(expected, said[row])
                self.assertIn("once it is uploaded to the bucket", said[2])
                self.assertIn("Permission denied: '/etc/passwd'", said[0])
                self.assertEqual(result.errors[0]["exception"], "PermissionError")

    def test_a_device_is_open_to_who_was_given_it_and_to_nobody_else(self) -> None:
        # Stands for a GPU: every machine has it, and no worker is granted it by itself.
        device = "/dev/ptmx"
        for policy in policies()[:2]:
            for devices, expected in (([], ["refused", "refused"]), ([device], ["open", "open"])):
                given = {**policy, "devices": devices}
                with self.subTest(given), WorkerProcess(plugin_of(DEVICE), policy=given) as worker:
                    worker.build()
                    fields = worker.run([{"text": device}, {"text": "its own thread"}]).fields
                    self.assertEqual([row["happened"] for row in fields], expected)

    def test_it_is_seen_from_outside(self) -> None:
        for policy in policies():
            with self.subTest(policy), WorkerProcess({}, policy=policy) as worker:
                with open(f"/proc/{worker.process.pid}/status", encoding="ascii") as status:
                    said = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
                self.assertEqual((said["NoNewPrivs"], said["Seccomp"]), ("1", "2"))
                self.assertEqual({int(said[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}, {0})
                self.assertEqual(worker.locked_down["isolation"], policy["level"])
                self.assertTrue(worker.locked_down["facts"]["self_test"])

    def test_memory_is_bounded_and_the_author_gets_a_memory_error(self) -> None:
        bomb = "class Bomb:\n    def __call__(self, frame):\n        self.kept = bytearray(1 << 30)\n        return frame\nsteps = [Bomb()]\n"
        for policy in policies()[:1]:
            with WorkerProcess(plugin_of(bomb), policy={**policy, "memory_bytes": 512 << 20}) as worker:
                worker.build()
                errors = worker.run([{"text": "a"}]).errors
                self.assertEqual((errors[0]["exception"], errors[0]["error_type"]), ("MemoryError", "resource"))

    def test_a_worker_leaves_timers_to_its_user_and_is_not_more_urgent(self) -> None:
        for policy in policies():
            with self.subTest(policy), WorkerProcess(plugin_of(TIMERS), policy=policy) as worker:
                worker.build()
                made, *urgency = worker.run([{"text": "a"}]).fields[0]["happened"]
                self.assertLessEqual(made, 1024)
                self.assertEqual(urgency, [0, 0])
                # It still has them.
                timer = ctypes.c_void_p()
                event = ctypes.create_string_buffer(bytes(12) + b"\1", 64)
                libc = ctypes.CDLL(None, use_errno=True)
                self.assertEqual(libc.timer_create(1, event, ctypes.byref(timer)), 0)
                libc.timer_delete(timer)

    def test_a_second_lock_down_and_a_missing_grant_are_refused(self) -> None:
        for policy in policies()[:1]:
            with WorkerProcess({}, policy=policy) as worker:
                worker.post({"type": "lock_down", "policy": worker.complete(policy)})
                self.assertEqual(worker.process.wait(timeout=10), 71)
            with WorkerProcess(load=False) as worker:
                worker.post({"type": "lock_down", "policy": {**worker.complete(policy), "read": ["/nowhere"]}})
                self.assertEqual(worker.process.wait(timeout=10), 71)
                self.assertIn("/nowhere", worker.printed())

    def test_without_landlock_it_is_reduced_and_without_namespaces_standard(self) -> None:
        if not policies():
            self.skipTest("this machine has no Landlock or no filter")
        reduced = probe(landlock_abi=0)
        self.assertEqual(reduced["level"], "reduced")
        self.assertIn("no Landlock", reduced["refusals"]["standard"])
        standard = probe(namespaces=0)
        self.assertEqual(standard["level"], "standard")
        self.assertIn("switched off", standard["refusals"]["full"])

    def _attempts(self, policy: Message, outside: str) -> dict[str, str]:
        with WorkerProcess(plugin_of(HOSTILE), policy=policy) as worker:
            self.assertEqual(worker.build()["type"], "steps_built")
            row = {"outside": outside, "server": str(os.getpid()), "socket": os.path.join(outside, "socket")}
            result = worker.run([row])
            self.assertEqual(result.errors, {}, result.reply)
            happened: dict[str, str] = result.fields[0]["happened"]
            return happened


class Threads(unittest.TestCase):
    def test_a_second_thread_refuses_the_lock_down(self) -> None:
        program = (
            "import sys, threading, time\n"
            f"sys.path.append({PYTHON_TREE!r})\n"
            "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
            "from plugin_worker.lock_down import LockDownRefused, lock_down\n"
            "try:\n"
            "    lock_down({'level': 'standard', 'read': [], 'write': [], 'memory_bytes': 1 << 30, 'open_files': 64})\n"
            "except LockDownRefused as refused:\n"
            "    print(refused)\n"
        )
        done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
        self.assertIn("2 threads are running", done.stdout)


if __name__ == "__main__":
    unittest.main()
