"""The way out for steps of resource type API: what is listed, through the proxy, and nothing else in any other way."""

import http.server
import ipaddress
import os
import re
import socket
import threading
import time
import unittest

from support import Message, WorkerProcess, plugin_of
from test_lock_down import policies

from plugin_worker.egress_allowlist import Allowlist, is_public

PLUGIN = '''
import json, os, socket, urllib.error, urllib.request

def attempt(what):
    if what.startswith("direct "):
        host, port = what.split()[1:]
        with socket.create_connection((host, int(port)), 3):
            return "connected"
    if what == "udp":
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if what == "listen":
        socket.create_server(("127.0.0.1", 0))
    if what == "unix":
        socket.socket(socket.AF_UNIX)
    if what == "mptcp":
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    if what == "proxy":
        return os.environ["HTTP_PROXY"]
    try:
        with urllib.request.urlopen(what, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.reason}"

class Caller:
    def __call__(self, frame):
        frame["said"] = [attempt(what) for what in frame["text"]]
        return frame

steps = [Caller()]
'''


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.path} of {self.headers['Host']} {self.headers.get('Proxy-Authorization', '')}".strip().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


class ProxiedWorkers(unittest.TestCase):
    def setUp(self) -> None:
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tearDown(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def test_what_is_listed_is_reached_and_nothing_else_is(self) -> None:
        for policy in self._policies(f"127.0.0.1:{self.port}", "localhost:1"):
            with self.subTest(policy), WorkerProcess(plugin_of(PLUGIN), policy=policy) as worker:
                expected = "proxy-netns" if policy["level"] == "full" else "proxy-port"
                self.assertEqual(worker.locked_down["facts"]["network"], expected)
                worker.build()
                here = f"http://127.0.0.1:{self.port}"
                self.assertEqual(self._said(worker, f"{here}/path?a=b"), f"/path?a=b of 127.0.0.1:{self.port}")
                for refused in (
                    f"http://localhost:{self.port}/",
                    "http://127.0.0.1:1/",
                    "http://192.0.2.1/",
                    "http://localhost:1/",
                ):
                    self.assertRegex(self._said(worker, refused), r"^403 The sandbox refused network access \(")
                self.assertIn("does not list it; an administrator adds", self._said(worker, "http://example.com/"))
                self.assertIn("loopback", self._said(worker, "http://localhost:1/"))
                for around in (f"direct 127.0.0.1 {self.port}", "direct 192.0.2.1 80", "udp", "listen", "unix", "mptcp"):
                    self.assertIn("The sandbox refused network access", self._said(worker, around), around)

    def test_a_tunnel_leads_only_to_what_is_listed(self) -> None:
        plugin = PLUGIN.replace(
            '    if what == "udp"',
            '''    if what.startswith("CONNECT "):
        proxy = urllib.request.urlparse(os.environ["HTTP_PROXY"])
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as tunnel:
            import base64
            token = base64.b64encode(f"worker:{proxy.password}".encode()).decode()
            tunnel.sendall(f"{what} HTTP/1.1\\r\\nProxy-Authorization: Basic {token}\\r\\n\\r\\n".encode())
            first = tunnel.recv(4096).decode().split("\\r\\n")[0]
            if " 200 " not in first:
                return first
            tunnel.sendall(b"GET /inside HTTP/1.0\\r\\nHost: inside\\r\\n\\r\\n")
            said = b""
            while part := tunnel.recv(4096):
                said += part
            return said.decode().split("\\r\\n\\r\\n")[1]
    if what == "udp"''',
        )
        for policy in self._policies(f"127.0.0.1:{self.port}"):
            with self.subTest(policy), WorkerProcess(plugin_of(plugin), policy=policy) as worker:
                worker.build()
                self.assertEqual(self._said(worker, f"CONNECT 127.0.0.1:{self.port}"), "/inside of inside")
                for there in (
                    "127.0.0.1:1",
                    f"localhost:{self.port}",
                    f"[::ffff:127.0.0.1]:{self.port + 1}",
                    f"0:{self.port}",
                    f"2130706433:{self.port}",
                ):
                    self.assertIn(" 403 The sandbox refused", self._said(worker, f"CONNECT {there}"), there)
                for nonsense in ("nothing", "127.0.0.1", "127.0.0.1:99999", "a@b@c:1:2", ":80"):
                    self.assertIn(" 400 ", self._said(worker, f"CONNECT {nonsense}"), nonsense)

    def test_the_proxy_serves_its_own_worker_only_and_ends_with_it(self) -> None:
        for policy in self._policies(f"127.0.0.1:{self.port}"):
            if policy["level"] == "full":
                continue
            with WorkerProcess(plugin_of(PLUGIN), policy=policy) as worker:
                worker.build()
                where = re.fullmatch(r"http://worker:(\S+)@127\.0\.0\.1:(\d+)", self._said(worker, "proxy"))
                assert where is not None
                port = int(where[2])
                with socket.create_connection(("127.0.0.1", port), 5) as stranger:
                    stranger.sendall(f"GET http://127.0.0.1:{self.port}/ HTTP/1.1\r\n\r\n".encode())
                    self.assertIn(b" 407 ", stranger.recv(4096))
                children = _children(worker.process.pid)
                self.assertEqual(len(children), 1)
                self._is_confined(children[0])
                worker.process.kill()
                worker.process.wait()
                deadline = time.monotonic() + 10
                while os.path.exists(f"/proc/{children[0]}") and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertFalse(_runs(children[0]))

    def test_an_open_network_is_reached_directly(self) -> None:
        for policy in policies():
            policy = {**policy, "network": "open"}
            with self.subTest(policy), WorkerProcess(plugin_of(PLUGIN), policy=policy) as worker:
                self.assertEqual(worker.locked_down["facts"]["network"], "open")
                worker.build()
                self.assertEqual(self._said(worker, f"direct 127.0.0.1 {self.port}"), "connected")
                self.assertIn("The sandbox refused network access", self._said(worker, "unix"))

    def test_without_a_way_to_confine_it_there_is_no_network(self) -> None:
        for policy in self._policies("example.com", landlock_abi_at_most=3):
            if policy["level"] == "full":
                continue
            with WorkerProcess(plugin_of(PLUGIN), policy=policy) as worker:
                self.assertEqual(worker.locked_down["facts"]["network"], "denied")

    def _policies(self, *egress: str, **more: object) -> list[Message]:
        return [{**policy, "network": "proxy", "egress": list(egress), **more} for policy in policies() if "landlock_abi_at_most" not in policy]

    def _said(self, worker: WorkerProcess, what: str) -> str:
        result = worker.run([{"text": what}])
        if result.errors:
            return str(result.errors[0]["message"])
        return str(result.fields[0]["said"])

    def _is_confined(self, pid: int) -> None:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            said = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual((said["NoNewPrivs"], said["Seccomp"]), ("1", "2"))
        self.assertEqual(int(said["CapEff"], 16), 0)


class Lists(unittest.TestCase):
    def test_names(self) -> None:
        listed = Allowlist(["api.example.com", "*.wild.example", "ports.example:8443", "10.0.0.0/8", "[fd00::1]:9000"])
        for host, port, expected in (
            ("api.example.com", 443, True),
            ("API.example.com.", 80, True),
            ("api.example.com", 8080, False),
            ("x.api.example.com", 443, False),
            ("a.wild.example", 443, True),
            ("a.b.wild.example", 443, True),
            ("wild.example", 443, False),
            ("evilwild.example", 443, False),
            ("ports.example", 8443, True),
            ("ports.example", 443, False),
            ("10.1.2.3", 443, True),
            ("::ffff:10.1.2.3", 443, True),
            ("11.1.2.3", 443, False),
            ("fd00::1", 9000, True),
            ("[fd00::1]", 9000, True),
            ("fd00::2", 9000, False),
            # The resolver of Python would ask for what is before the NUL.
            ("evil.example\0.wild.example", 443, False),
            ("169.254.169.254\0.wild.example", 443, False),
            ("a@evil.example#.wild.example", 443, False),
        ):
            self.assertEqual(listed.names(host, port), expected, (host, port))

    def test_addresses_that_are_not_public(self) -> None:
        for text in (
            "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
            "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fd00::1",
            "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
            "2002:a00:1::", "2001:db8::1", "fec0::1",
        ):  # fmt: skip
            self.assertFalse(is_public(ipaddress.ip_address(text)), text)
        for text in ("1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1"):
            self.assertTrue(is_public(ipaddress.ip_address(text)), text)

    def test_what_is_no_entry_is_refused(self) -> None:
        for text in ("", "http://a.example", "a b", "*", "*.", "-a.b", "a.b:0", "a.b:70000", "300.1.1.1", "10.0.0.0/40", "1234"):
            with self.assertRaises(ValueError, msg=text):
                Allowlist([text])


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(") ")[2][:1] not in ("Z", "X")
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
