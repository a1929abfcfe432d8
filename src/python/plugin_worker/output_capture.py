"""stdout and stderr belong to the plugin: pipes that the appliance drains, line by line. The protocol never uses them."""

import faulthandler
import io
import signal
import sys
from contextvars import ContextVar
from typing import Any

# Before a line and the id of the realtime call that it was printed for.
_MARK = b"\x1f"


class CallLines:
    """stdout and stderr of a realtime worker, each line with the id of the call that is executed; `call` is 0 between two."""

    def __init__(self) -> None:
        self.call = 0
        self._of_task: ContextVar[int] = ContextVar("call", default=0)

    def of_this_task(self, call: int) -> None:
        """Where several calls are executed at a time, each in a task of its own."""
        self._of_task.set(call)

    @property
    def current(self) -> int:
        return self.call or self._of_task.get()

    def attach(self) -> None:
        """To what `sys` has now: what native code prints carries no id."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, io.TextIOWrapper):
                stream.flush()
                marked = io.BufferedWriter(_Marked(stream.fileno(), self))
                text = io.TextIOWrapper(marked, encoding="utf-8", errors="backslashreplace", line_buffering=True)
                setattr(sys, name, text)


class _Marked(io.FileIO):
    def __init__(self, descriptor: int, lines: CallLines) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._lines = lines
        self._within_line = False

    def write(self, data: Any) -> int:
        call = self._lines.current
        text = bytes(data)
        if call != 0 and text:
            mark = b"%b%d%b" % (_MARK, call, _MARK)
            marked = text[:-1].replace(b"\n", b"\n" + mark) + text[-1:]
            _write_all(super().write, marked if self._within_line else mark + marked)
        else:
            _write_all(super().write, text)
        self._within_line = not text.endswith(b"\n")
        return len(text)


def _write_all(write: Any, data: bytes) -> None:
    while data:
        data = data[write(data) :]


def prepare_streams() -> None:
    """UTF-8 whatever the locale, a line leaves when it is complete; a crash in native code, and SIGUSR1, print where it is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    if sys.stderr is not None:
        faulthandler.enable(file=sys.stderr)
        # The appliance asks a worker that is late, before it ends it.
        faulthandler.register(signal.SIGUSR1, file=sys.stderr)


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # A plugin may have closed or replaced it; what it printed then is its own loss.
            continue
