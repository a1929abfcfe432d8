"""Calls of an `async def` handler in a real worker, frame by frame: what comes together in one read, in whatever order."""

import json
import struct
import unittest

from support import MANIFEST, Message, WorkerProcess

_CALL, _ANSWER, _FAILED, _BEGUN, _CANCEL = 2, 3, 4, 6, 7

HANDLER = """
import asyncio, time

class RealtimeHandler:
    def __init__(self):
        self.canceled = 0

    async def predict(self, request):
        try:
            if request["text"] == "blocks":
                await asyncio.sleep(0.05)
                time.sleep(0.5)
            if request["text"] == "waits":
                await asyncio.sleep(0.2)
            if request["text"] == "for ever":
                await asyncio.sleep(600)
        except asyncio.CancelledError:
            self.canceled += 1
            raise
        return {"text": request["text"], "canceled": self.canceled}
"""


def frame(frame_id: int, kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("<IIB", 5 + len(payload), frame_id, kind) + payload


def call(frame_id: int, text: str) -> bytes:
    return frame(frame_id, _CALL, json.dumps({"text": text}).encode())


class Calls(WorkerProcess):
    def __enter__(self) -> "Calls":
        super().__enter__()
        reply = self.ask({"type": "construct_realtime"})
        assert reply["overlaps"] is True, reply
        return self

    def next_end(self) -> tuple[int, int, Message]:
        """Of the next call that ends; what has begun is passed over."""
        while True:
            (length,) = struct.unpack("<I", self._read(4))
            frame_id, kind = struct.unpack("<IB", self._read(5))
            payload = self._read(length - 5)
            if kind != _BEGUN:
                return frame_id, kind, json.loads(payload)

    def ends(self, count: int) -> dict[int, tuple[int, Message]]:
        ended = {}
        for _ in range(count):
            frame_id, kind, body = self.next_end()
            ended[frame_id] = (kind, body)
        return ended


def worker() -> Calls:
    return Calls({"manifest.py": MANIFEST, "realtime.py": HANDLER})


class Overlapping(unittest.TestCase):
    def test_calls_that_come_together_are_all_answered(self) -> None:
        with worker() as calls:
            calls.socket.sendall(b"".join(call(100 + n, "waits" if n % 2 else "at once") for n in range(30)))
            ended = calls.ends(30)
            self.assertEqual({kind for kind, _ in ended.values()}, {_ANSWER})

    def test_a_call_that_comes_with_the_end_of_the_last_one_is_answered(self) -> None:
        with worker() as calls:
            for _ in range(5):
                calls.socket.sendall(call(1, "blocks"))
                # Both lie there when the last step of the first ends.
                calls.socket.sendall(frame(1, _CANCEL) + call(2, "waits"))
                self.assertEqual(set(calls.ends(2)), {1, 2})

    def test_a_call_that_is_canceled_before_its_first_step_ends_all_the_same(self) -> None:
        with worker() as calls:
            calls.socket.sendall(call(1, "waits"))
            calls.socket.sendall(call(2, "for ever") + frame(2, _CANCEL) + frame(77, _CANCEL) + call(3, "at once"))
            ended = calls.ends(3)
            self.assertEqual({frame_id: kind for frame_id, (kind, _) in ended.items()}, {1: _ANSWER, 2: _FAILED, 3: _ANSWER})
            calls.socket.sendall(frame(1, _CANCEL) + call(4, "at once"))
            self.assertEqual(calls.next_end()[:2], (4, _ANSWER))

    def test_one_that_is_canceled_while_it_waits_is_told_so_and_others_go_on(self) -> None:
        with worker() as calls:
            calls.socket.sendall(call(1, "for ever") + call(2, "waits"))
            calls.socket.sendall(frame(1, _CANCEL))
            ended = calls.ends(2)
            self.assertEqual(ended[1][0], _FAILED)
            self.assertEqual(ended[2], (_ANSWER, {"text": "waits", "canceled": 1}))


if __name__ == "__main__":
    unittest.main()
