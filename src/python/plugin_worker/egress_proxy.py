"""The way out of a worker whose plugin has steps of resource type API: an HTTP proxy that dials only what is allowed.

It runs beside the worker, in a process that was forked from it before any byte of the plugin, and outside the worker's empty
network. It takes CONNECT and plain `http://` requests, resolves names itself and dials the very address it has judged: a second
look at the name could answer another one.
"""

import hmac
import ipaddress
import socket
import threading
from base64 import b64decode
from collections.abc import Callable
from typing import Final, NoReturn
from urllib.parse import urlsplit

from plugin_worker.egress_allowlist import Allowlist, literal
from plugin_worker.limits import PROXY_CONNECTIONS

HEAD_BYTES: Final = 16 * 1024
_HEAD_SECONDS: Final = 30.0
_DIAL_SECONDS: Final = 10.0
# Neither side says a word for so long: the connection is given up.
_IDLE_SECONDS: Final = 600.0
_CHUNK: Final = 64 * 1024
# Of the request to the proxy, and of one hop only (RFC 9110 7.6.1).
_OWN_HEADERS: Final = ("proxy-", "connection", "keep-alive", "te:", "trailer", "upgrade")


class Refused(Exception):
    """Answered with this status; the message reaches the author in the status line, where every client shows it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class EgressProxy:
    """`token` is the password that a client must send; None where nobody but the worker reaches the listener."""

    def __init__(self, allowlist: Allowlist, token: str | None) -> None:
        self._allowlist = allowlist
        self._token = token
        self._places = threading.BoundedSemaphore(PROXY_CONNECTIONS)

    def serve(self, listener: socket.socket) -> NoReturn:
        while True:
            self._places.acquire()
            client, _ = listener.accept()
            threading.Thread(target=self._take, args=(client,), daemon=True).start()

    def _take(self, client: socket.socket) -> None:
        try:
            with client:
                self._answer(client)
        except OSError:
            # Whoever hung up knows it, and there is nobody else to be told.
            pass
        finally:
            self._places.release()

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(_HEAD_SECONDS)
        try:
            head, rest = _read_head(client)
            lines = head.split("\r\n")
            method, target = _request_line(lines[0])
            self._demand_token(lines[1:])
            if method == "CONNECT":
                host, port = _authority(target, None)
                server = self.dial(host, port)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                first = rest
            else:
                host, port, request_line = _absolute(method, target)
                server = self.dial(host, port)
                kept = [line for line in lines[1:] if line and not line.lower().startswith((*_OWN_HEADERS, "host:"))]
                authority = f"[{host}]" if ":" in host else host
                named = authority if port == 80 else f"{authority}:{port}"
                first = "\r\n".join((request_line, f"Host: {named}", "Connection: close", *kept, "", "")).encode(
                    "latin-1"
                ) + rest
        except Refused as refused:
            client.sendall(_refusal(refused))
            return
        with server:
            server.sendall(first)
            _relay(client, server)

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection to an allowed address of an allowed host. Raises Refused."""
        where = f"{host}:{port}"
        if not self._allowlist.names(host, port):
            entry = f"[{host}]" if ":" in host else host
            raise Refused(
                403,
                f"The sandbox refused network access ({where}): the egress allowlist does not list it; an administrator adds "
                f"'{entry}:{port}' to egress_allowlist of the namespace or to MIXPEEK_EGRESS_ALLOWLIST",
            )
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Refused(502, f"{where} cannot be resolved: {error}") from error
        problem: OSError | None = None
        judged = [place for *_, place in found if self._allowlist.reaches(_address(place), port)]
        if not judged:
            raise Refused(
                403,
                f"The sandbox refused network access ({where}): it leads to a loopback, link-local, private or other "
                "special address that the egress allowlist does not list as an address",
            )
        for place in judged:
            try:
                # The address, not the name.
                return socket.create_connection((str(place[0]), port), _DIAL_SECONDS)
            except OSError as error:
                problem = error
        raise Refused(502, f"{where} cannot be reached: {problem}")

    def _demand_token(self, headers: list[str]) -> None:
        if self._token is None:
            return
        for header in headers:
            name, _, value = header.partition(":")
            if name.strip().lower() != "proxy-authorization":
                continue
            kind, _, encoded = value.strip().partition(" ")
            try:
                password = b64decode(encoded, validate=True).partition(b":")[2]
            except ValueError:
                break
            if kind.lower() == "basic" and hmac.compare_digest(password, self._token.encode()):
                return
        raise Refused(407, "This proxy serves the worker it belongs to")


def _address(place: tuple[object, ...]) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = literal(str(place[0]).partition("%")[0])
    if address is None:
        raise Refused(502, "The name was resolved to what is no address")
    return address


def _read_head(client: socket.socket) -> tuple[str, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        if len(received) > HEAD_BYTES:
            raise Refused(431, f"A request's head may have {HEAD_BYTES} bytes")
        part = client.recv(4096)
        if not part:
            raise Refused(400, "The request ended inside its head")
        received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def _request_line(line: str) -> tuple[str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[0].isalpha() or not parts[2].startswith("HTTP/1."):
        raise Refused(400, "This is no request to a proxy")
    return parts[0].upper(), parts[1]


def _authority(text: str, default: int | None) -> tuple[str, int]:
    try:
        split = urlsplit(f"//{text}")
        host, port = split.hostname, split.port or default
    except ValueError as error:
        raise Refused(400, f"There is no host and port in the request: {error}") from error
    if not host or port is None or split.path or split.query:
        raise Refused(400, "There is no host and port in the request")
    return host, port


def _absolute(method: str, target: str) -> tuple[str, int, str]:
    split = urlsplit(target)
    if split.scheme.lower() != "http":
        raise Refused(400, "This proxy takes CONNECT and http:// addresses")
    host, port = _authority(split.netloc.rpartition("@")[2], 80)
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return host, port, f"{method} {path} HTTP/1.1"


def _refusal(refused: Refused) -> bytes:
    text = str(refused).replace("\r", " ").replace("\n", " ")[:1000]
    body = f"{text}\n".encode("utf-8", "replace")
    extra = "Proxy-Authenticate: Basic\r\n" if refused.status == 407 else ""
    head = (
        f"HTTP/1.1 {refused.status} {text}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n{extra}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1", "replace") + body


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Both ways at once, each until its sender has nothing more to say."""
    for end in (client, server):
        end.settimeout(_IDLE_SECONDS)
    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
    back.start()
    _pump(client, server)
    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while part := source.recv(_CHUNK):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        _hang_up(source.shutdown)
        _hang_up(target.shutdown)


def _hang_up(shutdown: Callable[[int], None]) -> None:
    try:
        shutdown(socket.SHUT_RDWR)
    except OSError:
        return
