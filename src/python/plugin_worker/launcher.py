"""A process that has the base packages in memory and forks workers from itself: a start takes milliseconds, not half a second.

    python -I -S -B plugin_worker/launcher.py

It never sees a plugin. The appliance sends one frame for each worker, and with it three descriptors: the worker's channel, stdout
and stderr. The fork goes on as `__main__.py` does, one thread, nothing of the plugin on `sys.path`, and locks itself down there.
Frames are those of protocol.py on descriptor 3: `warm` once, then `fork` one at a time; `ready`, `forked` and `exited` come back.
"""

import gc
import os
import select
import signal
import socket
import sys
from importlib import import_module
from typing import Any, Final, NoReturn

_WORKER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _WORKER]
sys.path.append(os.path.dirname(_WORKER))

from plugin_worker.output_capture import prepare_streams  # noqa: E402
from plugin_worker.parent_death import die_with_parent  # noqa: E402
from plugin_worker.privileges import thread_count  # noqa: E402
from plugin_worker.protocol import CHANNEL_DESCRIPTOR, Channel, ChannelClosed, Inbox  # noqa: E402
from plugin_worker.worker import Worker  # noqa: E402

# What a batch or a realtime worker imports before the plugin's own code; the lock-down's own modules among them.
_PRELOADED: Final = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "orjson",
    "plugin_worker.batch",
    "plugin_worker.realtime",
    "plugin_worker.parameters",
    "plugin_worker.anonymous_memory",
    "plugin_worker.interpreter_paths",
    "plugin_worker.landlock",
    "plugin_worker.namespaces",
    "plugin_worker.seccomp_filter",
    "plugin_worker.self_test",
)
_DESCRIPTORS: Final = 3

Message = dict[str, Any]


class Launcher:
    def __init__(self) -> None:
        self._socket = socket.socket(fileno=CHANNEL_DESCRIPTOR)
        self._channel = Channel(CHANNEL_DESCRIPTOR)
        self._descriptors: list[int] = []
        # A byte for each child that ended, so that one wait sees both.
        self._ended, ended = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(ended, False)
        signal.set_wakeup_fd(ended, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> NoReturn:
        try:
            while True:
                ready, _, _ = select.select([self._socket, self._ended], [], [])
                if self._ended in ready:
                    self._reap()
                if self._socket in ready:
                    self._answer(*self._receive())
        except (ChannelClosed, ConnectionResetError):
            os._exit(0)

    def _receive(self) -> tuple[int, Message]:
        """The descriptors come with the first byte of their frame; the rest of it is read as ever."""
        first, self._descriptors, _, _ = socket.recv_fds(self._socket, 1, _DESCRIPTORS)
        if not first:
            raise ChannelClosed
        return self._channel.receive(first)

    def _answer(self, frame_id: int, request: Message) -> None:
        if request["type"] == "warm":
            self._warm(request["site_packages"])
            # A plugin's worker takes over what is here as it is: shared pages stay shared when nobody collects them.
            gc.collect()
            gc.freeze()
            self._channel.send(frame_id, {"type": "ready", "threads": thread_count()})
        elif request["type"] == "fork":
            leads, leading = os.pipe()
            pid = os.fork()
            if pid == 0:
                _become_worker(self._descriptors, leading, request["environment"], request["directory"])
            # Not told before it leads a group of its own: the appliance ends workers by their group, from this answer on.
            os.close(leading)
            os.read(leads, 1)
            os.close(leads)
            for descriptor in self._descriptors:
                os.close(descriptor)
            self._channel.send(frame_id, {"type": "forked", "pid": pid})

    def _warm(self, site_packages: list[str]) -> None:
        # Appended, never inserted, and not as site directories: a .pth file would run code.
        sys.path.extend(entry for entry in site_packages if entry not in sys.path)
        for module in _PRELOADED:
            import_module(module)

    def _reap(self) -> None:
        os.read(self._ended, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            ended = {"code": code, "signal": None} if code >= 0 else {"code": None, "signal": _signal_name(-code)}
            self._channel.send(0, {"type": "exited", "pid": pid, **ended})


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        # Most real-time signals have none, and a plugin may end itself by any: all forks would die with a launcher that raised.
        return str(number)


def _become_worker(descriptors: list[int], leading: int, environment: dict[str, str], directory: str) -> NoReturn:
    launcher = os.getppid()
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Its own group, as every worker: what a library leaves behind is ended with it.
        os.setsid()
        os.close(leading)
        die_with_parent()
        if os.getppid() != launcher:
            os._exit(0)
        channel, output, errors = descriptors
        # Out of the way of the numbers that they get.
        moved = [os.dup(descriptor) for descriptor in (output, errors, channel)]
        for target, descriptor in enumerate(moved, start=1):
            os.dup2(descriptor, target)
        os.closerange(CHANNEL_DESCRIPTOR + 1, max(*moved, *descriptors, 256) + 1)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        # Forks of one process would all draw the same numbers; Python's own generator is seeded again by itself.
        sys.modules["numpy"].random.seed()
        prepare_streams()
        Worker(Channel(CHANNEL_DESCRIPTOR), Inbox(CHANNEL_DESCRIPTOR)).serve()
    except BaseException as error:
        print(f"worker: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        # Never back into the code of the launcher.
        os._exit(70)


if __name__ == "__main__":
    die_with_parent()
    prepare_streams()
    Launcher().serve()
