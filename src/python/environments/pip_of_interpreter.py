"""The pip that came with this interpreter, without what else lies beside it: no package of the host may count as installed.

pip is the resolver, and `pip._vendor.packaging` the one opinion on versions, markers and tags.
"""

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any, Final

from environments.tool_failed import ToolFailed

# The first with `--report` and `--dry-run` (pip's release notes, 22.2).
_LEAST: Final = (22, 2)


def import_pip() -> ModuleType:
    """Raises ToolFailed when there is none, or one too old to say what it would install."""
    import site

    before = list(sys.path)
    site.main()
    spec = importlib.util.find_spec("pip")
    if spec is None or spec.origin is None:
        raise ToolFailed("pip", [f"Python {_version()} ({sys.executable}) has no pip, which resolves dependencies."])
    folder = os.path.dirname(os.path.dirname(spec.origin))
    sys.path[:] = [*before, folder]
    import pip

    # Its submodules are found by `pip.__path__` from now on.
    sys.path[:] = before
    if tuple(int(part) for part in pip.__version__.split(".")[:2] if part.isdigit()) < _LEAST:
        raise ToolFailed(
            "pip",
            [
                f"pip {pip.__version__} of Python {_version()} ({sys.executable}) is too old to resolve dependencies: "
                f"{'.'.join(map(str, _LEAST))} is needed. Upgrade it with '{sys.executable} -m pip install --upgrade pip'."
            ],
        )
    return pip


def _wheels_by_name_only() -> None:
    """A URL inside a wheel's metadata is never followed, and nothing but a wheel is ever prepared: that would run its code.

    pip looks at both only afterwards, or not at all. Raises ToolFailed when this pip has neither place.
    """
    from pip._internal.cli import req_command
    from pip._internal.exceptions import InstallationError
    from pip._internal.operations import prepare

    by_text = getattr(req_command, "install_req_from_req_string", None)
    distribution = getattr(prepare, "make_distribution_for_install_requirement", None)
    if by_text is None or distribution is None:
        raise ToolFailed("pip", [f"pip of Python {_version()} ({sys.executable}) is newer than this appliance knows."])
    if getattr(by_text, "guarded", False):
        return

    def named(text: str, *more: Any, **options: Any) -> Any:
        requirement = by_text(text, *more, **options)
        if requirement.link is not None:
            raise InstallationError(f"a package's metadata names a place: {text}")
        return requirement

    def wheel(requirement: Any, *more: Any, **options: Any) -> Any:
        if not requirement.is_wheel:
            raise InstallationError(f"{requirement.name} is no wheel")
        return distribution(requirement, *more, **options)

    named.guarded = True  # type: ignore[attr-defined]
    req_command.install_req_from_req_string = named
    prepare.make_distribution_for_install_requirement = wheel


def run_pip(arguments: list[str], *, offline: bool) -> int:
    """pip's exit code. Everything that the environment or a configuration file says to pip was decided by the caller."""
    from pip._internal.cli.main import main

    _wheels_by_name_only()
    if offline:
        # It asks files and programs of the machine what to call itself to an index, and is locked away from them here.
        from pip._internal.network import session

        session.user_agent = lambda: "pip"
    return int(main(arguments))


def _version() -> str:
    return ".".join(map(str, sys.version_info[:3]))
