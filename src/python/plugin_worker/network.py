"""What of the network a worker is left with: nothing, what its proxy lets through, or all of it.

The proxy is forked while this process still has one thread and has seen nothing of the plugin, and locks itself down in its
turn: no files but those that resolving names takes, no programs, no new privileges. It ends with the worker.
"""

import os
import secrets
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from plugin_worker.egress_allowlist import Allowlist
from plugin_worker.interpreter_paths import DEVICES, NETWORK_PATHS, SYSTEM_PATHS, interpreter_paths
from plugin_worker.limits import LEAST_OPEN_FILES, PROXY_CONNECTIONS, PROXY_MEMORY, PROXY_STACK

_PROXY_PORT: Final = 3128
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_BACKLOG: Final = PROXY_CONNECTIONS


class Proxy:
    """Started in two steps, since its process must be there before the namespaces and its listener must lie within them."""

    def __init__(self, allow: Sequence[str], *, own_network: bool) -> None:
        """Raises ValueError for an allowlist that is none, OSError."""
        allowlist = Allowlist(allow)
        self.port = _PROXY_PORT
        self.token: str | None = None
        if own_network:
            own, theirs = socket.socketpair()
            self._channel: socket.socket | None = own
            _fork(lambda life: _serve(allowlist, None, lambda: _received(theirs), life), closes=own)
            theirs.close()
            return
        # Every process of the machine reaches this one: it asks for a password.
        self._channel = None
        self.token = secrets.token_urlsafe(24)
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.port = int(listener.getsockname()[1])
        _fork(lambda life: _serve(allowlist, self.token, lambda: listener, life), closes=None)
        listener.close()

    def enter(self) -> None:
        """Within the namespaces: an address of our own, and the listener on it handed to the proxy outside. Raises OSError."""
        if self._channel is None:
            return
        _raise_loopback()
        with socket.create_server(("127.0.0.1", _PROXY_PORT), backlog=_BACKLOG) as listener:
            socket.send_fds(self._channel, [b"l"], [listener.fileno()])
        self._channel.close()

    def announce(self) -> None:
        """Tells the libraries: requests, httpx, urllib and the like read it from the environment."""
        credentials = "" if self.token is None else f"worker:{self.token}@"
        url = f"http://{credentials}127.0.0.1:{self.port}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            os.environ[name] = url
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ""


def _fork(run: Callable[[int], NoReturn], closes: socket.socket | None) -> None:
    # Its end tells that the worker has ended. Not the parent-death signal: a signal of the dying worker's, as the kernel
    # sees it, and Landlock lets the worker send none to a process outside its domain.
    life, held = os.pipe()
    if os.fork() != 0:
        os.close(life)
        return
    try:
        os.close(held)
        if closes is not None:
            closes.close()
        run(life)
    except BaseException as error:
        print(f"egress proxy: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        # Never back into the code of the worker.
        os._exit(1)


def _end_with(life: int) -> NoReturn:
    os.read(life, 1)
    os._exit(0)


def _serve(allowlist: Allowlist, token: str | None, listener: Callable[[], socket.socket], life: int) -> NoReturn:
    # The appliance's channel is the worker's alone.
    os.close(3)
    from plugin_worker.egress_proxy import EgressProxy

    _confine()
    # What the system gives a thread by itself, 8 MiB, would be all of its memory at 16 connections.
    threading.stack_size(PROXY_STACK)
    # Landlock binds the threads that come after it.
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    EgressProxy(allowlist, token).serve(listener())


def _confine() -> None:
    from plugin_worker import privileges
    from plugin_worker.landlock import TRUNCATE_ABI, Ruleset, landlock_abi
    from plugin_worker.seccomp_filter import load_filter

    abi = landlock_abi(99)
    if abi > 0:
        ruleset = Ruleset(abi, any_port=True)
        ruleset.grant_read(interpreter_paths(), required=True)
        ruleset.grant_read((*SYSTEM_PATHS, *NETWORK_PATHS), required=False)
        ruleset.grant_devices(DEVICES)
        ruleset.restrict()
    privileges.clear_capabilities()
    privileges.limit_resources(PROXY_MEMORY, LEAST_OPEN_FILES + 2 * PROXY_CONNECTIONS)
    load_filter(truncation_is_confined=abi == 0 or abi >= TRUNCATE_ABI, sockets="server")


def _received(channel: socket.socket) -> socket.socket:
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    channel.close()
    if len(descriptors) != 1:
        raise OSError("the worker ended before it had a listener")
    return socket.socket(fileno=descriptors[0])


def _raise_loopback() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP))
