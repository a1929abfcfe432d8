"""Frames between worker and appliance on descriptor 3; the mirror of `src/frames.ts` and `src/workers/protocol.ts`.

    u32le length | u32le id | u8 kind | payload        length counts what follows it

Kind 1 is a UTF-8 JSON object with a string `type`. A reply carries the id of its request, an event carries 0.
Rows never travel in frames. Kinds 2 to 7 are realtime calls, whose bodies pass as the bytes they are: 2 a request, 3 its answer,
4 its failure, 5 a piece of an answer that is streamed (an empty 3 ends it), 6 how many of the waiting calls have just begun,
7 that nobody waits for one any more (where calls overlap).
"""

import json
import os
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from plugin_worker.limits import FRAME_PAYLOAD

PROTOCOL_VERSION: Final = 1
CHANNEL_DESCRIPTOR: Final = 3
CONTROL_FRAME: Final = 1
CALL_FRAME: Final = 2
ANSWER_FRAME: Final = 3
FAILED_FRAME: Final = 4
PIECE_FRAME: Final = 5
BEGUN_FRAME: Final = 6
CANCEL_FRAME: Final = 7
EVENT_ID: Final = 0

_LENGTH = struct.Struct("<I")
_HEAD = struct.Struct("<IB")
_WHOLE_HEAD = struct.Struct("<IIB")
_READ_BYTES = 1 << 18


class FrameError(Exception):
    """Bytes that are no frame, or a frame over the limit. The channel is not usable after one was received."""


class ChannelClosed(Exception):
    """The appliance closed its end."""


class Frame(NamedTuple):
    id: int
    kind: int
    payload: bytes


def encode_frame(frame: Frame) -> bytes:
    """Raises FrameError when a field does not fit."""
    return _head(frame) + frame.payload


def _head(frame: Frame) -> bytes:
    frame_id, kind, payload = frame
    if len(payload) > FRAME_PAYLOAD:
        raise FrameError(f"a payload of {len(payload)} bytes is over the limit of {FRAME_PAYLOAD}")
    try:
        return _WHOLE_HEAD.pack(_HEAD.size + len(payload), frame_id, kind)
    except struct.error as error:
        raise FrameError(f"frame id {frame_id} is not a u32, or its kind {kind} not a u8") from error


def payload_length(head: bytes) -> int:
    """Bytes of payload that the first four bytes of a frame announce. Raises FrameError out of bounds."""
    return _payload_length(_LENGTH.unpack(head)[0])


def _payload_length(length: int) -> int:
    if length < _HEAD.size:
        raise FrameError(f"a frame of {length} bytes is shorter than its head")
    if length - _HEAD.size > FRAME_PAYLOAD:
        raise FrameError(f"a frame of {length} bytes is over the limit of {FRAME_PAYLOAD + _HEAD.size}")
    return length - _HEAD.size


def decode_frames(stream: bytes) -> list[Frame]:
    """All frames of a whole stream. Raises FrameError when it does not end with a frame."""
    frames: list[Frame] = []
    at = 0
    while at < len(stream):
        body = at + _LENGTH.size + _HEAD.size
        if len(stream) < body:
            raise FrameError("the stream ends inside a frame")
        end = body + payload_length(stream[at : at + _LENGTH.size])
        if len(stream) < end:
            raise FrameError("the stream ends inside a frame")
        frame_id, kind = _HEAD.unpack_from(stream, at + _LENGTH.size)
        frames.append(Frame(frame_id, kind, stream[body:end]))
        at = end
    return frames


def control_message(frame: Frame) -> dict[str, Any]:
    """Raises FrameError unless it is a JSON object with a type."""
    try:
        message = json.loads(frame.payload)
    except ValueError as error:
        raise FrameError(f"a control frame is not JSON: {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise FrameError("a control frame is not an object with a type")
    return message


class Channel:
    """Blocking frames on one descriptor, read one at a time. One thread receives; any thread may send."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sending = threading.Lock()
        os.set_blocking(descriptor, True)
        # A program that a plugin's library starts must not hold the channel open.
        os.set_inheritable(descriptor, False)

    def receive(self, begun: bytes = b"") -> tuple[int, dict[str, Any]]:
        """The next control message and its id, and no byte beyond it; `begun` was read of its length already.

        Raises ChannelClosed at the end, FrameError for anything else.
        """
        size = payload_length(begun + self._read(_LENGTH.size - len(begun)))
        frame_id, kind = _HEAD.unpack(self._read(_HEAD.size))
        if kind != CONTROL_FRAME:
            raise FrameError(f"frame kind {kind} is not known here")
        return frame_id, control_message(Frame(frame_id, kind, self._read(size)))

    def send(self, frame_id: int, message: dict[str, Any]) -> None:
        """Raises FrameError for a message over the limit, ValueError or TypeError for one that is not JSON."""
        payload = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
        self.send_frames([Frame(frame_id, CONTROL_FRAME, payload)])

    def send_frames(self, frames: Iterable[Frame]) -> None:
        """All of them in one piece. Raises FrameError for one over the limit."""
        parts: list[bytes] = []
        for frame in frames:
            parts.append(_head(frame))
            parts.append(frame.payload)
        data = b"".join(parts)
        with self._sending:
            sent = os.write(self._descriptor, data)
            while sent < len(data):
                sent += os.write(self._descriptor, memoryview(data)[sent:])

    def _read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            part = os.read(self._descriptor, min(size, 1 << 20))
            if not part:
                raise ChannelClosed
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class Inbox:
    """Frames of one descriptor, as many as one read brings. Only for who is its only reader."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        # One for all reads: to allocate so much for each of them can cost ten times what the read does.
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._frames: deque[Frame] = deque()
        # Of a frame that has not come whole.
        self._incomplete = bytearray()
        self._error: FrameError | None = None

    def next(self) -> Frame:
        """Waits for it. Raises ChannelClosed at the end, FrameError for what is no frame."""
        while not self._frames:
            self._read()
        return self._frames.popleft()

    def read_already(self) -> Frame | None:
        """The next one that came with the last read: no system call."""
        return self._frames.popleft() if self._frames else None

    def next_within(self, seconds: float) -> Frame | None:
        """The next one if it comes in that time, 0 for what has come. Raises as `next`."""
        if self._frames:
            return self._frames.popleft()
        deadline = time.monotonic() + seconds
        while self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self._read()
            if self._frames:
                return self._frames.popleft()
        return None

    def _read(self) -> None:
        if self._error is not None:
            raise self._error
        count = os.readv(self._descriptor, [self._buffer])
        if count == 0:
            raise ChannelClosed
        part = bytes(self._buffer[:count])
        if self._incomplete:
            self._incomplete += part
            del self._incomplete[: self._cut(self._incomplete)]
        else:
            self._incomplete += part[self._cut(part) :]

    def _cut(self, received: bytes | bytearray) -> int:
        """Takes the frames that it begins with; the number of bytes that they have. An error is for who asks when they are taken."""
        size = len(received)
        at = 0
        try:
            while size - at >= _WHOLE_HEAD.size:
                length, frame_id, kind = _WHOLE_HEAD.unpack_from(received, at)
                body = at + _WHOLE_HEAD.size
                end = body + _payload_length(length)
                if end > size:
                    return at
                self._frames.append(Frame(frame_id, kind, bytes(received[body:end])))
                at = end
            # What is too short or too long is known from the length alone.
            if size - at >= _LENGTH.size:
                _payload_length(_LENGTH.unpack_from(received, at)[0])
        except FrameError as error:
            self._error = error
        return at
