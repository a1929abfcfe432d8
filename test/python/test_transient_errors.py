"""Which exceptions of a call are worth another try, by what clients raise."""

import asyncio
import email.message
import unittest
import urllib.error
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

from support import HttpError

from plugin_worker.transient_errors import Transient, transient


class Transience(unittest.TestCase):
    def named(self, module: str, name: str, *bases: type) -> Exception:
        made: Exception = type(name, bases or (Exception,), {"__module__": module})("x")
        return made

    def test_errors_of_clients_are_known_by_their_names(self) -> None:
        cases = {
            ("requests.exceptions", "ConnectionError"): True,
            ("requests.exceptions", "InvalidURL"): False,
            ("httpx", "ConnectTimeout"): False,
            ("httpx", "NetworkError"): True,
            ("aiohttp.client_exceptions", "ClientConnectionError"): True,
            ("urllib3.exceptions", "ProtocolError"): True,
            ("openai", "APIConnectionError"): True,
            ("plugin_x", "ConnectionError"): False,
        }
        for (module, name), expected in cases.items():
            with self.subTest(module + name):
                self.assertEqual(transient(self.named(module, name)) is not None, expected)
        timeout = type("ConnectTimeout", (type("TimeoutException", (Exception,), {"__module__": "httpx"}),), {})
        self.assertIsNotNone(transient(timeout()))
        for error in (TimeoutError(), asyncio.TimeoutError(), ConnectionResetError(), OSError(113, "no route"), BrokenPipeError()):
            self.assertIsNotNone(transient(error), error)
        for other in (OSError(2, "no file"), ValueError(), KeyError("x"), SystemExit(503), MemoryError()):
            self.assertIsNone(transient(other), other)

    def test_what_caused_an_error_counts_and_the_outermost_status_decides(self) -> None:
        def raised(outer: Exception, inner: Exception) -> Exception:
            outer.__cause__ = inner
            return outer

        self.assertIsNotNone(transient(raised(RuntimeError("wrapped"), HttpError(502))))
        self.assertIsNone(transient(raised(HttpError(400), ConnectionResetError())))
        self.assertIsNotNone(transient(urllib.error.URLError(ConnectionRefusedError())))
        refused = urllib.error.URLError(OSError("Tunnel connection failed: 403 The sandbox refused network access (a:443)"))
        self.assertIsNone(transient(raised(self.named("requests.exceptions", "ConnectionError"), refused)))

    def test_statuses_stand_where_clients_put_them(self) -> None:
        for name in ("status_code", "status", "code"):
            for status, expected in ((408, True), (425, True), (429, True), (500, True), (599, True), (404, False), (200, False)):
                error = Exception("x")
                setattr(error, name, status)
                self.assertEqual(transient(error) is not None, expected, (name, status))

    def test_retry_after_is_seconds_or_a_date_and_nonsense_is_passed_over(self) -> None:
        now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        cases = {
            "7": 7.0,
            "1.5": 1.5,
            format_datetime(now + timedelta(seconds=30), usegmt=True): 30.0,
            format_datetime(now - timedelta(seconds=30), usegmt=True): 0.0,
            "soon": None,
            "-3": None,
        }
        for text, expected in cases.items():
            headers = email.message.Message()
            headers["retry-after"] = text
            error = urllib.error.HTTPError("http://a", 503, "busy", headers, None)
            self.assertEqual(transient(error, now.timestamp()), Transient(expected, expected is not None), text)

    def test_an_error_that_raises_when_it_is_looked_at_is_none_of_them(self) -> None:
        class Hostile(Exception):
            @property
            def response(self) -> Any:
                raise SystemExit

            def __str__(self) -> str:
                raise KeyboardInterrupt

        self.assertIsNone(transient(Hostile()))


if __name__ == "__main__":
    unittest.main()
