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
    if not 0 <= frame.id <= 0xFFFF_FFFF:
        raise FrameError(f"frame id {frame.id} is not a u32")
    if not 0 <= frame.kind <= 0xFF:
        raise FrameError(f"frame kind {frame.kind} is not a u8")
    if len(frame.payload) > FRAME_PAYLOAD:
        raise FrameError(f"a payload of {len(frame.payload)} bytes is over the limit of {FRAME_PAYLOAD}")
    return _WHOLE_HEAD.pack(_HEAD.size + len(frame.payload), frame.id, frame.kind)


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
        data = memoryview(b"".join(part for frame in frames for part in (_head(frame), frame.payload)))
        with self._sending:
            while data:
                data = data[os.write(self._descriptor, data) :]

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
        self._bytes = bytearray()
        self._at = 0

    def next(self) -> Frame:
        """Waits for it. Raises ChannelClosed at the end, FrameError for what is no frame."""
        frame = self._complete()
        while frame is None:
            self._read()
            frame = self._complete()
        return frame

    def read_already(self) -> Frame | None:
        """The next one that came with the last read: no system call. Raises FrameError for what is no frame."""
        return self._complete()

    def next_within(self, seconds: float) -> Frame | None:
        """The next one if it comes in that time, 0 for what has come. Raises as `next`."""
        frame = self._complete()
        if frame is not None:
            return frame
        deadline = time.monotonic() + seconds
        while self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self._read()
            frame = self._complete()
            if frame is not None:
                return frame
        return None

    def _complete(self) -> Frame | None:
        received = len(self._bytes) - self._at
        if received < _WHOLE_HEAD.size:
            # What is too short or too long is known from the length alone.
            if received >= _LENGTH.size:
                _payload_length(_LENGTH.unpack_from(self._bytes, self._at)[0])
            return None
        length, frame_id, kind = _WHOLE_HEAD.unpack_from(self._bytes, self._at)
        body = self._at + _WHOLE_HEAD.size
        end = body + _payload_length(length)
        if len(self._bytes) < end:
            return None
        frame = Frame(frame_id, kind, bytes(self._bytes[body:end]))
        self._at = end
        return frame

    def _read(self) -> None:
        part = os.read(self._descriptor, _READ_BYTES)
        if not part:
            raise ChannelClosed
        del self._bytes[: self._at]
        self._at = 0
        self._bytes += part
