"""A worker process as the appliance starts it: socket pair on descriptor 3, captured output, frames by hand."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from functools import cache
from types import TracebackType
from typing import Any

from warm_launcher import THREADS, Fork, Launcher, read

PYTHON_TREE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "src", "python"))
SITE_PACKAGES = [entry for entry in os.environ.get("MIXPEEK_TEST_SITE_PACKAGES", "").split(":") if entry]
REPLY_SECONDS = 60
if not SITE_PACKAGES:
    raise RuntimeError(
        "Set MIXPEEK_TEST_SITE_PACKAGES to directories holding numpy, pandas, pyarrow, pydantic and orjson."
    )

sys.path[:0] = [PYTHON_TREE, *SITE_PACKAGES]

Message = dict[str, Any]


@cache
def launcher() -> Launcher:
    return Launcher(PYTHON_TREE, SITE_PACKAGES)


class WorkerProcess:
    """A worker for the files of one plugin, forked by the launcher. `with` ends it and removes its directories."""

    def __init__(
        self,
        files: dict[str, str] | None = None,
        name: str = "my_extractor",
        load: bool = True,
        policy: Message | None = None,
    ) -> None:
        """`policy` is completed with this worker's own directories, unless it has some; without one nothing is locked.

        Without `load` it is the program that is started where there is no launcher, and has been told nothing.
        """
        self.directory = os.path.realpath(tempfile.mkdtemp(prefix="worker-test-"))
        self.plugin = os.path.join(self.directory, "plugin")
        self.scratch = os.path.join(self.directory, "scratch")
        os.makedirs(self.plugin)
        os.makedirs(self.scratch)
        for path, text in (files or {}).items():
            target = os.path.join(self.plugin, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w", encoding="utf-8") as file:
                file.write(text)
        self.output = open(os.path.join(self.directory, "output"), "w+b")
        self.socket, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(REPLY_SECONDS)
        self.process = self._fork(inside) if load else self._start(inside)
        inside.close()
        self.events: list[Message] = []
        self._next_id = 1
        self.hello = self.receive()[1]
        if load:
            self.locked_down = self.ask({"type": "lock_down", "policy": self.complete(policy or {"level": "none"})})
            self.load(name)

    def _fork(self, channel: socket.socket) -> Fork:
        output = self.output.fileno()
        return launcher().fork(THREADS, self.scratch, [channel.fileno(), output, output])

    def _start(self, channel: socket.socket) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", os.path.join(PYTHON_TREE, "plugin_worker")],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            env=THREADS,
            close_fds=False,
            preexec_fn=lambda: os.dup2(channel.fileno(), 3),
        )

    def complete(self, policy: Message) -> Message:
        work = os.path.join(self.directory, "work")
        os.makedirs(work, exist_ok=True)
        return {
            "read": [self.plugin, *(os.path.realpath(entry) for entry in SITE_PACKAGES)],
            "write": [self.scratch, work],
            "hide": [],
            "memory_bytes": 4 << 30,
            "open_files": 1024,
            **policy,
        }

    def load(self, name: str = "my_extractor", site_packages: list[str] | None = None) -> Message:
        return self.ask(
            {
                "type": "load",
                "plugin_path": self.plugin,
                "plugin_name": name,
                "package_name": "plugin_0123456789abcdef",
                "site_packages": SITE_PACKAGES if site_packages is None else site_packages,
                "scratch": self.scratch,
            }
        )

    def ask(self, message: Message) -> Message:
        """The reply. Events that come before it are kept in `events`."""
        request_id = self.post(message)
        while True:
            frame_id, reply = self.receive()
            if frame_id == request_id:
                return reply
            self.events.append(reply)

    def post(self, message: Message) -> int:
        request_id = self._next_id
        self._next_id += 1
        payload = json.dumps(message).encode()
        self.socket.sendall(struct.pack("<IIB", 5 + len(payload), request_id, 1) + payload)
        return request_id

    def receive(self) -> tuple[int, Message]:
        (length,) = struct.unpack("<I", self._read(4))
        frame_id, kind = struct.unpack("<IB", self._read(5))
        assert kind == 1
        return frame_id, json.loads(self._read(length - 5))

    def build(self, parameters: Message | None = None) -> Message:
        return self.ask(
            {
                "type": "build_steps",
                "parameters": parameters or {},
                "dataset_size": 10,
                "content_flags": {},
                "feature_extractor_name": "my_extractor",
                "version": "1.0.0",
            }
        )

    def run(
        self,
        rows: list[Message],
        features: list[tuple[str, int]] | None = None,
        asset_roots: dict[str, str] | None = None,
        concurrency: int | None = None,
        call_seconds: float | None = None,
        batch_rows: int | None = None,
        group: Message | None = None,
    ) -> "Result":
        """run_partition over `rows`, which get `__row` and `document_id` when they lack them. `group`: of these steps only."""
        work = os.path.join(self.directory, "work")
        os.makedirs(work, exist_ok=True)
        source = os.path.join(work, "rows.jsonl")
        target = tempfile.mkdtemp(dir=work)
        with open(source, "w", encoding="utf-8") as file:
            for index, row in enumerate(rows):
                file.write(json.dumps({"__row": index, "document_id": f"doc_{index}", **row}) + "\n")
        reply = self.ask(
            {
                "type": "run_partition",
                "partition": "p1",
                "attempt": 1,
                "input": source,
                "output": target,
                "features": [{"feature_name": name, "embedding_dim": size} for name, size in features or []],
                "asset_roots": asset_roots or {},
                "concurrency": concurrency,
                "call_seconds": call_seconds,
                "batch_rows": batch_rows,
                "group": group,
            }
        )
        return Result(reply, target, features or [])

    def printed(self) -> str:
        self.output.flush()
        self.output.seek(0)
        return self.output.read().decode("utf-8")

    def end(self) -> int:
        """Exit code after the channel is closed."""
        self.socket.close()
        return self.process.wait(timeout=10)

    def _read(self, size: int) -> bytes:
        try:
            return read(self.socket, size)
        except EOFError:
            raise EOFError(f"the worker closed the channel; it printed:\n{self.printed()}") from None

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.socket.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        shutil.rmtree(self.directory)


class HttpError(Exception):
    """As clients raise it: with the response."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"HTTP {status}")
        self.response = type("Response", (), {"status_code": status, "headers": headers})()


class Result:
    """The reply to run_partition and what its files hold."""

    def __init__(self, reply: Message, directory: str, features: list[tuple[str, int]]) -> None:
        self.reply = reply
        self.directory = directory
        self.documents: list[Message] = []
        self.errors: dict[int, Message] = {}
        self.vectors: dict[str, Any] = {}
        if reply["type"] != "partition_done":
            return
        import numpy
        import pyarrow.parquet

        if os.path.exists(os.path.join(directory, "scalars.parquet")):
            table = pyarrow.parquet.read_table(os.path.join(directory, "scalars.parquet"))
            self.schema = table.schema
            for line in table.to_pylist():
                self.documents.append({**line, "fields": json.loads(line["fields"])})
            for name, size in features:
                data = numpy.fromfile(os.path.join(directory, reply["vectors"][name]), dtype="<f4")
                self.vectors[name] = data.reshape(-1, size)
        with open(os.path.join(directory, "errors.jsonl"), encoding="utf-8") as file:
            for text in file:
                line = json.loads(text)
                self.errors[line["row"]] = line

    @property
    def fields(self) -> list[Message]:
        return [document["fields"] for document in self.documents]

    @property
    def rows(self) -> list[int]:
        return [document["row"] for document in self.documents]


MANIFEST = """
feature_extractor_name = "my_extractor"
version = "1.0.0"
features = []
"""


def plugin_of(processor: str, manifest: str = MANIFEST) -> dict[str, str]:
    """A plugin whose pipeline.py holds `processor`, which must define `steps`."""
    pipeline = processor + '\n\ndef build_steps(extractor_request, **kwargs):\n    return {"steps": steps}\n'
    return {"manifest.py": manifest, "pipeline.py": pipeline}
