"""Frames, the handshake, and how a worker ends."""

import json
import os
import shutil
import signal
import struct
import time
import unittest

from support import WorkerProcess, plugin_of

from plugin_worker.limits import FRAME_PAYLOAD
from plugin_worker.protocol import Frame, FrameError, decode_frames, encode_frame

FIXTURE = os.path.join(os.path.dirname(__file__), "fixtures", "frames.json")


class Frames(unittest.TestCase):
    def setUp(self) -> None:
        with open(FIXTURE, encoding="utf-8") as file:
            self.fixture = json.load(file)

    def test_the_shared_fixture_encodes_and_decodes_the_same_here(self) -> None:
        for case in self.fixture["frames"]:
            with self.subTest(case["title"]):
                frame = Frame(case["id"], case["kind"], bytes.fromhex(case["payload_hex"]))
                self.assertEqual(encode_frame(frame).hex(), case["frame_hex"])
                self.assertEqual(decode_frames(bytes.fromhex(case["frame_hex"])), [frame])
                if "message" in case:
                    self.assertEqual(json.loads(frame.payload), case["message"])

    def test_the_shared_fixture_of_malformed_streams_is_refused_here(self) -> None:
        for case in self.fixture["malformed"]:
            with self.subTest(case["title"]), self.assertRaises(FrameError):
                decode_frames(bytes.fromhex(case["stream_hex"]))

    def test_the_limit_is_the_one_of_the_fixture(self) -> None:
        self.assertEqual(FRAME_PAYLOAD, self.fixture["max_payload_bytes"])
        with self.assertRaises(FrameError):
            encode_frame(Frame(1, 1, bytes(FRAME_PAYLOAD + 1)))


class Handshake(unittest.TestCase):
    def test_the_worker_greets_with_its_protocol_and_pid(self) -> None:
        with WorkerProcess(load=False) as worker:
            self.assertEqual(worker.hello["type"], "hello")
            self.assertEqual(worker.hello["protocol"], 1)
            self.assertEqual(worker.hello["pid"], worker.process.pid)

    def test_it_is_single_threaded_and_without_numpy_until_it_is_locked_down(self) -> None:
        with WorkerProcess(load=False) as worker:
            with open(f"/proc/{worker.process.pid}/status", encoding="ascii") as status:
                self.assertIn("Threads:\t1\n", status.readlines())
            with open(f"/proc/{worker.process.pid}/maps", encoding="utf-8") as maps:
                self.assertNotIn("numpy", maps.read())
            reply = worker.ask({"type": "lock_down", "policy": {"level": "none"}})
            self.assertEqual(reply, {"type": "locked_down", "isolation": "none", "facts": {}})

    def test_a_plugin_is_not_loaded_before_lock_down(self) -> None:
        with WorkerProcess(load=False) as worker:
            reply = worker.load()
            self.assertEqual(reply["type"], "failed")
            self.assertIn("before lock_down", reply["error"]["message"])

    def test_a_level_it_cannot_reach_ends_the_worker_instead_of_falling_back(self) -> None:
        with WorkerProcess(load=False) as worker:
            policy = worker.complete({"level": "standard", "landlock_abi_at_most": 0})
            worker.post({"type": "lock_down", "policy": policy})
            self.assertEqual(worker.process.wait(timeout=10), 71)
            self.assertIn("cannot reach isolation level 'standard': Landlock", worker.printed())

    def test_a_level_that_there_is_not_and_an_incomplete_policy_end_the_worker(self) -> None:
        for policy in ({"level": "absolute"}, {}, {"level": "standard"}):
            with self.subTest(policy), WorkerProcess(load=False) as worker:
                worker.post({"type": "lock_down", "policy": policy})
                self.assertEqual(worker.process.wait(timeout=10), 71)

    def test_an_unknown_request_and_a_second_load_are_answered_as_failed(self) -> None:
        with WorkerProcess({}) as worker:
            self.assertEqual(worker.ask({"type": "surprise"})["type"], "failed")
            self.assertIn("already", worker.load()["error"]["message"])

    def test_a_malformed_frame_ends_the_worker(self) -> None:
        with WorkerProcess({}) as worker:
            worker.socket.sendall(struct.pack("<I", 0xFFFFFFFF))
            self.assertEqual(worker.process.wait(timeout=10), 70)


class Ends(unittest.TestCase):
    def test_shutdown_exits_with_0(self) -> None:
        with WorkerProcess({}) as worker:
            worker.post({"type": "shutdown"})
            self.assertEqual(worker.process.wait(timeout=10), 0)

    def test_a_closed_channel_ends_a_worker_that_has_not_been_locked_down(self) -> None:
        with WorkerProcess(load=False) as worker:
            worker.end()

    def test_a_closed_channel_ends_the_worker_while_plugin_code_runs(self) -> None:
        files = {"manifest.py": "import time\nprint('busy', flush=True)\nwhile True:\n    time.sleep(0.01)\n"}
        with WorkerProcess(files) as worker:
            worker.post({"type": "read_manifest"})
            deadline = time.monotonic() + 10
            while "busy" not in worker.printed():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            worker.end()

    def test_the_worker_dies_with_its_parent_even_when_the_channel_stays_open(self) -> None:
        read_end, write_end = os.pipe()
        parent = os.fork()
        if parent == 0:
            worker = WorkerProcess(load=False)
            # A second holder of our end keeps the channel open past the death of this process.
            holder = os.fork()
            if holder == 0:
                time.sleep(5)
                os._exit(0)
            os.write(write_end, f"{worker.process.pid} {holder} {worker.directory}".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        pid, holder, directory = os.read(read_end, 4096).decode().split(" ", 2)
        os.waitpid(parent, 0)
        os.close(read_end)
        os.close(write_end)
        try:
            deadline = time.monotonic() + 4
            while _alive(int(pid)):
                self.assertLess(time.monotonic(), deadline, "the worker outlived its parent")
                time.sleep(0.01)
        finally:
            os.kill(int(holder), signal.SIGKILL)
            shutil.rmtree(directory)

    def test_what_a_plugin_prints_is_captured_and_never_reaches_the_channel(self) -> None:
        noisy = "import os, sys\nprint('grüße' * 3)\nos.write(1, b'raw\\n')\nsys.stderr.write('warned\\n')\n"
        plugin = plugin_of("steps = []")
        plugin["manifest.py"] = noisy + plugin["manifest.py"]
        with WorkerProcess(plugin) as worker:
            self.assertEqual(worker.ask({"type": "read_manifest"})["type"], "manifest")
            printed = worker.printed()
            for text in ("grüße", "raw", "warned"):
                self.assertIn(text, printed)

    def test_a_crash_in_native_code_says_where_it_was(self) -> None:
        files = {"manifest.py": "import faulthandler\nfaulthandler._sigsegv()\n"}
        with WorkerProcess(files) as worker:
            worker.post({"type": "read_manifest"})
            self.assertEqual(worker.process.wait(timeout=10), -signal.SIGSEGV)
            self.assertIn("manifest.py", worker.printed())


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    unittest.main()
