"""The one place where the worker gives up its powers, before it knows where the plugin lies."""

from collections.abc import Mapping
from typing import Any

_locked_down = False


class LockDownRefused(Exception):
    """The policy asks for what this worker cannot do, or comes a second time. The worker must not go on."""


def lock_down(policy: Mapping[str, Any]) -> str:
    """Applies `policy` to this process for good and returns the isolation level reached.

    Called once, with one thread, before any byte of the plugin or of site-packages is readable as code.
    Raises LockDownRefused; there is no falling back to a lower level.
    """
    global _locked_down
    if _locked_down:
        raise LockDownRefused("This worker is locked down already.")
    level = policy.get("level")
    if level != "none":
        raise LockDownRefused(f"This worker cannot reach isolation level {level!r}.")
    _locked_down = True
    return "none"
