"""Realtime calls in a worker: bodies in and out as bytes, one call at a time, or as many as have come where the handler has
`predict_batch`.

Calls that are quick beside a system call leave and come several at a time: those that together take about _TOGETHER seconds are
begun together, and their answers leave in one piece.

Batching is greedy: a free worker takes what is there, and waits for nobody (`compute_profile.max_wait_ms` may ask for a wait).
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from plugin_worker.call_frames import begun, encoder, failed, request_of
from plugin_worker.failures import RequestFailed, failure_of, plugin_code
from plugin_worker.limits import MAX_BATCH_CALLS
from plugin_worker.output_capture import CallLines
from plugin_worker.plugin_loader import Plugin
from plugin_worker.protocol import ANSWER_FRAME, PIECE_FRAME, Channel, Frame
from plugin_worker.realtime import RealtimeService, merged

_STAGE = "predict"
# A wait is time that every caller loses.
_MAX_WAIT_MS = 1000
# Seconds that the first of several may wait for the last of them.
_TOGETHER = 0.001
# Share of the newest duration in what a call is expected to take.
_NEWEST = 0.2


class RealtimeCalls:
    """`more` gives the next call that comes within so many seconds, or None; without a time, only what has been read already."""

    def __init__(
        self,
        service: RealtimeService,
        plugin: Plugin,
        profile: dict[str, Any],
        channel: Channel,
        more: Callable[[float | None], Frame | None],
        lines: CallLines,
    ) -> None:
        self._service = service
        self._plugin = plugin
        self._channel = channel
        self._more = more
        self._lines = lines
        self._most = int(_number(profile, "max_batch_size", 32, 1, MAX_BATCH_CALLS))
        # Seconds that the next call is expected to take: until something is known, it begins alone.
        self._expected = _TOGETHER
        self._wait = _number(profile, "max_wait_ms", 0, 0, _MAX_WAIT_MS) / 1000
        self._encoded = encoder()

    def answer(self, first: Frame) -> None:
        """`first`, and in a batch what has come with it. Whatever the plugin raises is an answer too."""
        if not self._service.batches:
            self._answer_singly(first)
            return
        calls = [first]
        deadline = time.monotonic() + self._wait
        while len(calls) < self._most:
            following = self._more(max(0.0, deadline - time.monotonic()))
            if following is None:
                break
            calls.append(following)
        self._channel.send_frames([begun(len(calls))])
        # What a batch prints is nobody's alone.
        self._lines.call = first.id if len(calls) == 1 else 0
        answers = self._many(calls)
        self._lines.call = 0
        self._channel.send_frames(answers)

    def _answer_singly(self, first: Frame) -> None:
        calls = [first]
        most = min(MAX_BATCH_CALLS, int(_TOGETHER / self._expected)) if self._expected < _TOGETHER else 1
        while len(calls) < most:
            following = self._more(None)
            if following is None:
                break
            calls.append(following)
        if len(calls) > 1:
            self._channel.send_frames([begun(len(calls))])
        unsent: list[Frame] = []
        sent = began = time.perf_counter()
        for call in calls:
            self._lines.call = call.id
            outcome = self._one(call)
            if type(outcome) is Frame:
                unsent.append(outcome)
            else:
                for frame in outcome:
                    self._channel.send_frames([*unsent, frame])
                    unsent = []
            ended = time.perf_counter()
            self._expected += _NEWEST * (ended - began - self._expected)
            began = ended
            if ended - sent > _TOGETHER:
                self._channel.send_frames(unsent)
                unsent, sent = [], ended
        self._lines.call = 0
        if unsent:
            self._channel.send_frames(unsent)

    def _one(self, call: Frame) -> Frame | Iterator[Frame]:
        """Its answer or its failure; of a generator the pieces, as they come, and the end."""
        try:
            answer = self._service.call(*request_of(call.payload))
            if type(answer) is dict:
                return self._encoded(call.id, ANSWER_FRAME, answer)
            if isinstance(answer, Iterator):
                return self._pieces(call.id, answer)
            return self._answer(call.id, answer)
        except BaseException as error:
            return failed(call.id, failure_of(error, _STAGE, self._plugin))

    def _pieces(self, call_id: int, answer: Iterator[Any]) -> Iterator[Frame]:
        while True:
            try:
                frame = self._encoded(call_id, PIECE_FRAME, next(answer))
            except StopIteration:
                yield Frame(call_id, ANSWER_FRAME, b"")
                return
            except BaseException as error:
                yield failed(call_id, failure_of(error, _STAGE, self._plugin))
                return
            yield frame

    def _many(self, calls: list[Frame]) -> list[Frame]:
        requests: list[tuple[Frame, dict[str, Any]]] = []
        answers: list[Frame] = []
        for call in calls:
            try:
                with plugin_code(_STAGE, self._plugin):
                    requests.append((call, merged(*request_of(call.payload))))
            except RequestFailed as raised:
                answers.append(failed(call.id, raised.failure))
        if not requests:
            return answers
        try:
            with plugin_code("predict_batch", self._plugin):
                results = self._service.predict_batch([request for _, request in requests])
        except RequestFailed as raised:
            if len(requests) == 1:
                return [*answers, failed(requests[0][0].id, raised.failure)]
            # One bad request must not fail the others: each alone now.
            for call, _ in requests:
                answers.extend(self._many([call]))
            return answers
        for (call, _), result in zip(requests, results, strict=True):
            try:
                with plugin_code("predict_batch", self._plugin):
                    answers.append(self._answer(call.id, result))
            except RequestFailed as raised:
                answers.append(failed(call.id, raised.failure))
        return answers

    def _answer(self, call_id: int, answer: Any) -> Frame:
        return self._encoded(call_id, ANSWER_FRAME, self._service.checked(answer))


def _number(profile: dict[str, Any], name: str, otherwise: float, least: float, most: float) -> float:
    """Of the manifest's `compute_profile`; `otherwise` for what is no number."""
    value = profile.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return otherwise
    return max(least, min(value, most))
