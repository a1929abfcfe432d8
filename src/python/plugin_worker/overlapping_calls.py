"""Realtime calls of an `async def` handler: while some of them await something, others begin.

One call is taken at a time, and the next only when all that were taken await: of a handler that computes and never awaits the appliance
keeps what has not begun, and may give it to another worker. That those before it have begun is told when one more is taken.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from plugin_worker.call_frames import begun, encoder, failed, request_of
from plugin_worker.failures import failure_of
from plugin_worker.output_capture import CallLines
from plugin_worker.plugin_loader import Plugin
from plugin_worker.protocol import ANSWER_FRAME, CALL_FRAME, CHANNEL_DESCRIPTOR, PIECE_FRAME, Channel, Frame
from plugin_worker.realtime import RealtimeService

_STAGE = "predict"


class OverlappingCalls:
    """`more` gives the next frame of a call that has come, or None; without a time, only what has been read already.

    `interrupted`: something else came, which is for after the calls; `more` reads nothing then.
    """

    def __init__(
        self,
        service: RealtimeService,
        plugin: Plugin,
        channel: Channel,
        more: Callable[[float | None], Frame | None],
        interrupted: Callable[[], bool],
        lines: CallLines,
    ) -> None:
        self._service = service
        self._plugin = plugin
        self._channel = channel
        self._more = more
        self._interrupted = interrupted
        self._lines = lines
        self._encoded = encoder()
        self._tasks: dict[int, asyncio.Task[Frame]] = {}
        # The newest, while the appliance does not know whether it has begun.
        self._newest = 0
        # Something was sent to us, or a call ended.
        self._changed = asyncio.Event()
        self._readable = False

    def answer(self, first: Frame) -> None:
        """`first`, and all that come until none is executed any more. Whatever the plugin raises is an answer too."""
        self._service.run(self._serve(first))

    async def _serve(self, first: Frame) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(CHANNEL_DESCRIPTOR, self._arrived)
        try:
            self._take(first)
            while True:
                # What was taken makes its first step.
                await asyncio.sleep(0)
                if not self._tasks:
                    return
                frame = self._more(None)
                if frame is None and self._readable:
                    self._readable = False
                    frame = self._more(0.0)
                if frame is not None:
                    self._take(frame)
                    continue
                if self._interrupted():
                    # What is left unread would wake us for ever.
                    loop.remove_reader(CHANNEL_DESCRIPTOR)
                self._changed.clear()
                if not self._readable:
                    await self._changed.wait()
        finally:
            loop.remove_reader(CHANNEL_DESCRIPTOR)
            self._readable = False

    def _arrived(self) -> None:
        self._readable = True
        self._changed.set()

    def _take(self, frame: Frame) -> None:
        if frame.kind != CALL_FRAME:
            if frame.id in self._tasks:
                self._tasks[frame.id].cancel()
            return
        newest = self._tasks.get(self._newest)
        if newest is not None and not newest.done():
            self._channel.send_frames([begun(1)])
        self._newest = frame.id
        task = asyncio.get_running_loop().create_task(self._one(frame))
        self._tasks[frame.id] = task
        task.add_done_callback(lambda task: self._ended(frame.id, task))

    def _ended(self, call_id: int, task: "asyncio.Task[Frame]") -> None:
        del self._tasks[call_id]
        self._changed.set()
        try:
            last = task.result()
        except BaseException as error:
            # Canceled before its first step.
            last = failed(call_id, failure_of(error, _STAGE, self._plugin))
        self._channel.send_frames([last])

    async def _one(self, call: Frame) -> Frame:
        self._lines.of_this_task(call.id)
        try:
            return await self._executed(call)
        except BaseException as error:
            return failed(call.id, failure_of(error, _STAGE, self._plugin))

    async def _executed(self, call: Frame) -> Frame:
        answer = self._service.begin(*request_of(call.payload))
        if inspect.isawaitable(answer):
            answer = await answer
        if inspect.isasyncgen(answer):
            async for piece in answer:
                self._send_piece(call.id, piece)
        elif isinstance(answer, Iterator):
            for piece in answer:
                self._send_piece(call.id, piece)
        else:
            return self._encoded(call.id, ANSWER_FRAME, self._service.checked(answer))
        return Frame(call.id, ANSWER_FRAME, b"")

    def _send_piece(self, call_id: int, piece: Any) -> None:
        self._channel.send_frames([self._encoded(call_id, PIECE_FRAME, piece)])
