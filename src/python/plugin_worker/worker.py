"""Requests of the appliance, one after another, in the order a worker's life has them.

The main thread reads the channel and runs plugin code. After lock-down a second one waits for the channel's end, so that the
worker ends at once when the appliance closes it, even while plugin code runs.
"""

import os
import platform
import select
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from plugin_worker.failures import Failure, InvalidPlugin, RequestFailed, failure_of
from plugin_worker.lock_down import LockDownRefused, lock_down
from plugin_worker.output_capture import flush_streams
from plugin_worker.plugin_loader import Plugin
from plugin_worker.protocol import (
    CALL_FRAME,
    CANCEL_FRAME,
    CHANNEL_DESCRIPTOR,
    CONTROL_FRAME,
    EVENT_ID,
    PROTOCOL_VERSION,
    Channel,
    ChannelClosed,
    Frame,
    FrameError,
    Inbox,
    control_message,
)
from plugin_worker.refusals import refuse_from_now_on
from plugin_worker.session import Session

if TYPE_CHECKING:
    from plugin_worker.overlapping_calls import OverlappingCalls
    from plugin_worker.realtime_calls import RealtimeCalls

_EXIT_OK = 0
_EXIT_PROTOCOL = 70
_EXIT_LOCK_DOWN = 71

Message = dict[str, Any]


class Worker:
    """One worker process: `serve` never returns."""

    def __init__(self, channel: Channel, inbox: Inbox) -> None:
        self._channel = channel
        self._inbox = inbox
        # Came while a batch of calls was gathered, and is none.
        self._set_aside: Frame | None = None
        self._calls: RealtimeCalls | OverlappingCalls | None = None
        self._session: Session | None = None
        self._locked_down = False
        self._handlers: dict[str, Callable[[Session, Message], Message]] = {
            "read_manifest": lambda session, _: session.read_manifest(),
            "validate_parameters": lambda session, request: session.validate_parameters(request),
            "build_steps": lambda session, request: session.build_steps(request),
            "run_partition": lambda session, request: session.run_partition(request, self._send_event),
            "construct_realtime": lambda session, _: session.construct_realtime(),
            "predict": lambda session, request: session.predict(request),
        }

    def serve(self) -> None:
        """Answers until shutdown or until the channel closes, then ends the process without running exit handlers."""
        self._send_event(
            {"type": "hello", "protocol": PROTOCOL_VERSION, "pid": os.getpid(), "python": platform.python_version()}
        )
        while True:
            frame = self._next_frame()
            if frame.kind == CALL_FRAME:
                self._answer_calls(frame)
                continue
            if frame.kind == CANCEL_FRAME:
                # Its call has just ended.
                continue
            frame_id, request = frame.id, _control(frame)
            if request["type"] == "shutdown":
                _end(_EXIT_OK)
            try:
                reply = self._answer(request)
            except RequestFailed as failed:
                reply = _failed(failed.failure)
            except Exception as error:
                # A fault of the worker itself: the request fails, the traceback goes to the log of the appliance.
                reply = _failed(failure_of(error, f"worker, {request['type']}", self._plugin()))
            self._reply(frame_id, reply)

    def _answer(self, request: Message) -> Message:
        kind = request["type"]
        if kind == "lock_down":
            return self._lock_down(request)
        if not self._locked_down:
            raise FrameError(f"{kind} came before lock_down")
        if kind == "load":
            return self._load(request)
        if self._session is None:
            raise FrameError(f"{kind} came before load")
        handler = self._handlers.get(kind)
        if handler is None:
            raise FrameError(f"the request {kind!r} is not known")
        return handler(self._session, request)

    def _lock_down(self, request: Message) -> Message:
        try:
            reached = lock_down(request.get("policy") or {})
        except LockDownRefused as refused:
            print(f"lock-down: {refused}", file=sys.stderr)
            _end(_EXIT_LOCK_DOWN)
        refuse_from_now_on(reached["isolation"], reached["facts"].get("network", "open"))
        threading.Thread(target=_end_with_channel, name="channel", daemon=True).start()
        self._locked_down = True
        return {"type": "locked_down", **reached}

    def _load(self, request: Message) -> Message:
        if self._session is not None:
            raise FrameError("a plugin is loaded already: one worker serves one plugin")
        scratch = request["scratch"]
        os.chdir(scratch)
        os.environ["TMPDIR"] = os.environ["HOME"] = scratch
        # Appended, never inserted, and not as site directories: a .pth file would run code.
        sys.path.extend(entry for entry in request["site_packages"] if entry not in sys.path)
        if not os.path.isdir(request["plugin_path"]):
            raise InvalidPlugin("The plugin's directory is missing.")
        self._session = Session(
            Plugin(request["plugin_path"], request.get("plugin_name") or "", request["package_name"])
        )
        return {"type": "loaded"}

    def _plugin(self) -> Plugin | None:
        return self._session.plugin if self._session else None

    def _next_frame(self) -> Frame:
        aside, self._set_aside = self._set_aside, None
        return aside or _received(self._inbox.next)

    def _more_calls(self, seconds: float | None) -> Frame | None:
        inbox = self._inbox
        if self._set_aside is not None:
            return None
        frame = inbox.read_already() if seconds is None else _received(lambda: inbox.next_within(seconds))
        if frame is None or frame.kind in (CALL_FRAME, CANCEL_FRAME):
            return frame
        self._set_aside = frame
        return None

    def _answer_calls(self, first: Frame) -> None:
        if self._calls is None and self._session is not None:
            self._calls = self._session.realtime_calls(
                self._channel, self._more_calls, lambda: self._set_aside is not None
            )
        if self._calls is None:
            print("channel: a call came before the realtime handler was constructed", file=sys.stderr)
            _end(_EXIT_PROTOCOL)
        try:
            self._calls.answer(first)
        except OSError:
            _end(_EXIT_OK)

    def _reply(self, frame_id: int, reply: Message) -> None:
        try:
            self._channel.send(frame_id, reply)
        except OSError:
            _end(_EXIT_OK)
        except (FrameError, TypeError, ValueError) as error:
            unsendable = InvalidPlugin(f"The answer cannot be sent: {error}")
            self._channel.send(frame_id, _failed(failure_of(unsendable, "answer", None)))

    def _send_event(self, event: Message) -> None:
        self._channel.send(EVENT_ID, event)


T = TypeVar("T")


def _received(receive: Callable[[], T]) -> T:
    try:
        return receive()
    except (ChannelClosed, ConnectionResetError):
        os._exit(_EXIT_OK)
    except OSError:
        # Somebody closed or replaced the descriptor. Nothing is printed: a full pipe could hold this process back.
        os._exit(_EXIT_PROTOCOL)
    except FrameError as error:
        print(f"channel: {error}", file=sys.stderr)
        _end(_EXIT_PROTOCOL)


def _end_with_channel() -> NoReturn:
    poll = select.poll()
    poll.register(CHANNEL_DESCRIPTOR, select.POLLRDHUP)
    while not poll.poll():
        pass
    os._exit(_EXIT_OK)


def _control(frame: Frame) -> Message:
    try:
        if frame.kind != CONTROL_FRAME:
            raise FrameError(f"frame kind {frame.kind} is not known")
        return control_message(frame)
    except FrameError as error:
        print(f"channel: {error}", file=sys.stderr)
        _end(_EXIT_PROTOCOL)


def _failed(failure: Failure) -> Message:
    return {"type": "failed", "error": failure.as_message()}


def _end(code: int) -> NoReturn:
    """Ends the process now. Exit handlers and threads of the plugin get no say; what it printed is not lost."""
    flush_streams()
    os._exit(code)
