"""The one place where the worker gives up its powers, before it knows where the plugin lies.

In this order: descriptors, namespaces, Landlock, capabilities, limits, the system call filter, and a test that it all
holds. A level is made of certain steps; one that cannot be taken is LockDownRefused, never a lower level.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from plugin_worker.limits import LEAST_MEMORY, LEAST_OPEN_FILES
from plugin_worker.protocol import CHANNEL_DESCRIPTOR

if TYPE_CHECKING:
    from plugin_worker.network import Proxy

LEVELS: Final = ("full", "standard", "reduced", "none")
NETWORKS: Final = ("none", "proxy", "open")

_locked_down = False


class LockDownRefused(Exception):
    """The policy asks for what this worker cannot do, or comes a second time. The worker must not go on."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the appliance asks for. Paths are real: absolute and without links."""

    level: str
    # A path that is not there refuses the lock-down.
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    # Of a GPU, besides those that every worker may use.
    devices: tuple[str, ...] = ()
    # Covered by an empty directory at level full, but for what is granted inside.
    hide: tuple[str, ...] = ()
    memory_bytes: int = 0
    open_files: int = 0
    # Treats the kernel as an older one, 0 as one without Landlock.
    landlock_abi_at_most: int = 99
    namespaces: bool = True
    # "none", "proxy" to what `egress` lists, or "open".
    network: str = "none"
    egress: tuple[str, ...] = ()

    @staticmethod
    def parse(message: Mapping[str, Any]) -> "Policy":
        """Raises LockDownRefused for a policy that is none."""
        level = message.get("level")
        if level not in LEVELS:
            raise LockDownRefused(f"There is no isolation level {level!r}.")
        if level == "none":
            return Policy("none")
        try:
            policy = Policy(
                level=level,
                read=tuple(message["read"]),
                write=tuple(message["write"]),
                devices=tuple(message.get("devices") or ()),
                hide=tuple(message.get("hide") or ()),
                memory_bytes=int(message["memory_bytes"]),
                open_files=int(message["open_files"]),
                landlock_abi_at_most=int(message.get("landlock_abi_at_most", 99)),
                namespaces=bool(message.get("namespaces", True)),
                network=str(message.get("network", "none")),
                egress=tuple(message.get("egress") or ()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LockDownRefused(f"The policy of level {level} is incomplete: {error!r}.") from error
        if policy.memory_bytes < LEAST_MEMORY:
            raise LockDownRefused(f"{policy.memory_bytes} bytes of memory are less than Python and its libraries need.")
        if policy.network not in NETWORKS:
            raise LockDownRefused(f"There is no network mode {policy.network!r}.")
        if policy.open_files < LEAST_OPEN_FILES:
            raise LockDownRefused(f"{policy.open_files} open files are less than Python and its libraries need.")
        return policy


def lock_down(message: Mapping[str, Any]) -> dict[str, Any]:
    """Applies the policy to this process for good. Returns the level reached and the facts behind it.

    Called once, with one thread, before any byte of the plugin or of site-packages is readable as code.
    Raises LockDownRefused; there is no falling back to a lower level.
    """
    global _locked_down
    if _locked_down:
        raise LockDownRefused("This worker is locked down already.")
    policy = Policy.parse(message)
    if policy.level == "none":
        _locked_down = True
        return {"isolation": "none", "facts": {}}
    if sys.platform != "linux":
        raise LockDownRefused(f"This worker cannot reach isolation level {policy.level!r}: it needs Linux.")
    facts = _Steps(policy).take()
    _locked_down = True
    return {"isolation": policy.level, "facts": facts}


class _Steps:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._proxy: Proxy | None = None

    def take(self) -> dict[str, Any]:
        # Imported here: a worker that is not to be locked down, on a Mac too, needs none of it.
        from plugin_worker import kernel, privileges
        from plugin_worker.interpreter_paths import interpreter_paths
        from plugin_worker.parent_death import die_with_parent

        policy = self._policy
        own = interpreter_paths()
        self._step("descriptors", lambda: privileges.close_descriptors_from(CHANNEL_DESCRIPTOR + 1))
        self._step("one thread", _expect_one_thread)
        privileges.first_to_go_when_memory_is_short()
        self._step("no_new_privs", privileges.gain_no_privileges)
        privileges.clear_bounding_set()
        if policy.network == "proxy":
            self._step("egress proxy", self._start_proxy)
        if policy.level == "full":
            self._step("namespaces", lambda: self._enter_namespaces((*own, *policy.read, *policy.write)))
            if self._proxy is not None:
                self._step("egress proxy", self._proxy.enter)
            privileges.clear_bounding_set()
        self._step("parent-death signal", die_with_parent)
        abi, missing = self._restrict_files(own) if policy.level != "reduced" else (0, [])
        self._step("capabilities", privileges.clear_capabilities)
        self._step("limits", lambda: privileges.limit_resources(policy.memory_bytes, policy.open_files))
        self._step("system call filter", lambda: self._load_filter(abi), kernel.UnknownMachine)
        self._step("self-test", lambda: _expect_refusals(files=policy.level != "reduced", sockets=self._sockets()))
        if not policy.devices:
            from plugin_worker.anonymous_memory import map_privately

            map_privately()
        if self._proxy is not None:
            self._proxy.announce()
        return {
            "landlock_abi": abi or None,
            "landlock_missing": missing,
            "namespaces": self._namespaces(),
            "network": self._network(),
            "memory": "rlimit",
            "stat_hidden": policy.level == "full",
            "uid": os.getuid(),
            "self_test": True,
        }

    def _step(self, name: str, step: Callable[[], None], *errors: type[Exception]) -> None:
        try:
            step()
        except (OSError, ValueError, *errors) as error:
            raise LockDownRefused(
                f"This worker cannot reach isolation level {self._policy.level!r}: {name}: {error}"
            ) from error

    def _enter_namespaces(self, granted: tuple[str, ...]) -> None:
        if not self._policy.namespaces:
            raise OSError("switched off by the appliance's settings")
        from plugin_worker.namespaces import enter_namespaces

        enter_namespaces(self._policy.hide, granted, network=self._policy.network != "open")

    def _start_proxy(self) -> None:
        from plugin_worker.landlock import NETWORK_ABI, landlock_abi
        from plugin_worker.network import Proxy

        policy = self._policy
        # Without a network of its own, only Landlock keeps the worker from other ports than the proxy's.
        confined = policy.level == "full" or (
            policy.level == "standard" and landlock_abi(policy.landlock_abi_at_most) >= NETWORK_ABI
        )
        if confined:
            self._proxy = Proxy(policy.egress, own_network=policy.level == "full")

    def _sockets(self) -> str:
        if self._policy.network == "open":
            return "open"
        return "denied" if self._proxy is None else "tcp"

    def _network(self) -> str:
        if self._policy.network == "open":
            return "open"
        if self._proxy is None:
            return "denied"
        return "proxy-netns" if self._policy.level == "full" else "proxy-port"

    def _namespaces(self) -> list[str]:
        if self._policy.level != "full":
            return []
        from plugin_worker.namespaces import NAMES

        return [name for name in NAMES if name != "net" or self._policy.network != "open"]

    def _restrict_files(self, own: tuple[str, ...]) -> tuple[int, list[str]]:
        from plugin_worker.interpreter_paths import DEVICES, GPU_PATHS, NETWORK_PATHS, SYSTEM_PATHS, THREADS, ZERO
        from plugin_worker.landlock import Ruleset, landlock_abi

        policy = self._policy
        abi = landlock_abi(policy.landlock_abi_at_most)
        missing: list[str] = []

        def restrict() -> None:
            if abi == 0:
                raise OSError("the kernel has no Landlock, or it is switched off")
            ruleset = Ruleset(abi, any_port=policy.network == "open")
            ruleset.grant_read((*own, *policy.read), required=True)
            ruleset.grant_read(SYSTEM_PATHS, required=False)
            if self._sockets() != "denied":
                ruleset.grant_read(NETWORK_PATHS, required=False)
            if self._proxy is not None:
                ruleset.grant_connect(self._proxy.port)
            ruleset.grant_write(policy.write)
            ruleset.grant_devices(DEVICES)
            if policy.devices:
                ruleset.grant_devices((*policy.devices, THREADS, ZERO))
                ruleset.grant_read(GPU_PATHS, required=False)
            ruleset.restrict()
            missing.extend(ruleset.missing)

        self._step("Landlock", restrict)
        return abi, missing

    def _load_filter(self, abi: int) -> None:
        from plugin_worker.landlock import TRUNCATE_ABI
        from plugin_worker.seccomp_filter import load_filter

        # Without Landlock nothing confines truncation anyway: a file that can be opened for writing can be emptied.
        load_filter(
            truncation_is_confined=abi == 0 or abi >= TRUNCATE_ABI,
            sockets=self._sockets(),
            # A GPU's driver shares memory with its device.
            shared_memory=bool(self._policy.devices),
        )


def _expect_one_thread() -> None:
    from plugin_worker.privileges import thread_count

    count = thread_count()
    if count != 1:
        raise OSError(f"{count} threads are running, and Landlock binds only one")


def _expect_refusals(*, files: bool, sockets: str) -> None:
    from plugin_worker.self_test import failed_refusals

    open_still = failed_refusals(files=files, sockets=sockets)
    if open_still:
        raise OSError(f"not refused: {', '.join(open_still)}")
