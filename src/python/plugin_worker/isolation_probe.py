"""Which isolation this machine allows: the real lock-down is tried, level by level, in a process of its own each.

    python -I -S -B plugin_worker/isolation_probe.py <landlock abi at most> <namespaces: 1 or 0>

Prints one line of JSON: {"level", "facts", "refusals": {level: why}}. It judges by doing: a kernel version, a container's
profile or a switch of the distribution says less.
"""

import json
import os
import sys
import tempfile
from typing import Any

_WORKER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _WORKER]
sys.path.append(os.path.dirname(_WORKER))

from plugin_worker.bytecode import compile_tree  # noqa: E402
from plugin_worker.limits import LEAST_MEMORY, LEAST_OPEN_FILES  # noqa: E402
from plugin_worker.lock_down import LEVELS, LockDownRefused, lock_down  # noqa: E402


def main() -> None:
    # The first Python of an appliance: here, since it comes before every worker.
    compile_tree(os.path.dirname(_WORKER))
    landlock_abi, namespaces = int(sys.argv[1]), sys.argv[2] == "1"
    refusals: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="mixpeek-isolation-") as scratch:
        hidden = os.path.realpath(scratch)
        kept = os.path.join(hidden, "kept")
        os.mkdir(kept)
        policy = {
            "read": [],
            "write": [kept],
            "hide": [hidden],
            "memory_bytes": LEAST_MEMORY,
            "open_files": LEAST_OPEN_FILES,
            "landlock_abi_at_most": landlock_abi,
            "namespaces": namespaces,
        }
        for level in LEVELS:
            answer = _try_in_child({**policy, "level": level})
            if "refused" not in answer:
                print(json.dumps({"level": level, "facts": answer["facts"], "refusals": refusals}))
                return
            refusals[level] = answer["refused"]


def _try_in_child(policy: dict[str, Any]) -> dict[str, Any]:
    # 3, the channel's place: the lock-down keeps it and closes all above.
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write_end, 3)
        try:
            answer = lock_down(policy)
        except LockDownRefused as refused:
            answer = {"refused": str(refused)}
        except BaseException as error:
            answer = {"refused": f"{type(error).__name__}: {error}"}
        os.write(3, json.dumps(answer).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answers:
        text = answers.read()
    os.waitpid(child, 0)
    answer: dict[str, Any] = json.loads(text) if text else {"refused": "the process that tried it was killed"}
    return answer


main()
