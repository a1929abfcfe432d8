"""One tool, one request, one answer, in a process that may do no more than that.

    python -I -S -B environments <tool> <request.json> <answer.json>

The request's `policy` is that of a worker (lock_down.py): wheels are other people's files, and what is asked for may come from
a plugin. Null where this machine confines nothing, and where an index is asked, which the admin has named.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
sys.path.append(os.path.dirname(_HERE))

from environments.tool_failed import ToolFailed  # noqa: E402
from plugin_worker.lock_down import LockDownRefused, lock_down  # noqa: E402
from plugin_worker.parent_death import die_with_parent  # noqa: E402

_EXIT_LOCK_DOWN: Final = 71

Answer = dict[str, Any]


def _resolve(request: Answer) -> Answer:
    from environments.resolving import resolve

    return resolve(request)


def _install(request: Answer) -> Answer:
    from environments.pip_of_interpreter import import_pip, run_pip

    try:
        import_pip()
        code = run_pip(request["arguments"], offline=True)
    except ToolFailed as failed:
        print(failed, file=sys.stderr)
        code = 1
    if code != 0:
        # As pip itself ends: whoever started it reads what it printed.
        sys.exit(code)
    return {"ok": True}


def _inspect(request: Answer) -> Answer:
    from environments.wheel_files import inspect

    return inspect(request)


def _machine(_: Answer) -> Answer:
    from environments.machine import machine

    return machine()


def _collect(request: Answer) -> Answer:
    from environments.collecting import collect

    return collect(request)


def _build(request: Answer) -> Answer:
    from environments.source_builds import build

    return build(request)


_TOOLS: Final[dict[str, Callable[[Answer], Answer]]] = {
    "resolve": _resolve,
    "install": _install,
    "inspect": _inspect,
    "machine": _machine,
    "collect": _collect,
    "build": _build,
}


def _failure(failed: ToolFailed) -> Answer:
    return {"ok": False, "kind": failed.kind, "problems": list(failed.problems), "missing": list(failed.missing)}


def main() -> None:
    tool, path, answers = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    die_with_parent()
    policy = request.pop("policy")
    if policy is not None:
        try:
            lock_down(policy)
        except LockDownRefused as refused:
            print(refused, file=sys.stderr)
            sys.exit(_EXIT_LOCK_DOWN)
    try:
        answer = _TOOLS[tool](request)
    except ToolFailed as failed:
        answer = _failure(failed)
    except Exception as error:
        # Requirements and wheels are other people's: what libraries raise on them is an outcome, and the log has the rest.
        traceback.print_exc()
        answer = _failure(ToolFailed("failed", [f"{type(error).__name__}: {str(error)[:500]}"]))
    with open(answers, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads and exit handlers of what was imported get no say.
    os._exit(0)


main()
