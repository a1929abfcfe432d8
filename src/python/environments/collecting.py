"""Wheels for another machine: resolved with its tags and markers, then downloaded by their hashes."""

import os
import re
from typing import Any

from environments.pip_of_interpreter import import_pip, run_pip
from environments.resolving import Package, resolve, target_arguments
from environments.tool_failed import ToolFailed


def collect(request: dict[str, Any]) -> dict[str, Any]:
    """{"ok": true, "packages": [...]}: what `directory` then holds of them.

    A request of `resolve` with `target`, and `pins` (of the base environment: name==version), `with_base` (bool: the target lacks
    them) and `directory`. Base packages are taken in the target's versions as long as the requirements let them be.
    Raises ToolFailed.
    """
    import_pip()
    pins = [{"text": pin, "origin": "the base environment"} for pin in request["pins"]]
    packages = _closest_to_base(request, pins)
    if request["with_base"]:
        packages += resolve({**request, "requirements": pins})["packages"]
    here = {pin["text"] for pin in pins} if not request["with_base"] else set()
    needed = [package for package in packages if f"{package['name']}=={package['version']}" not in here]
    _download(request, needed)
    return {"ok": True, "packages": needed}


def _closest_to_base(request: dict[str, Any], pins: list[dict[str, str]]) -> list[Package]:
    """All base packages as the target has them; else all that are not asked for by name; else whatever fits."""
    wanted = request["requirements"]
    named = {_name(str(each["text"])) for each in wanted}
    others = [pin for pin in pins if _name(pin["text"]) not in named]
    for kept in (pins, others):
        try:
            return list(resolve({**request, "requirements": [*wanted, *kept]})["packages"])
        except ToolFailed as failed:
            if failed.kind != "conflict":
                raise
    return list(resolve(request)["packages"])


def _name(requirement: str) -> str:
    found = re.match(r"\s*([A-Za-z0-9._-]+)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def _download(request: dict[str, Any], packages: list[Package]) -> None:
    by_file = {package["file"]: package for package in packages}
    # Two versions of one package are no contradiction here, but pip takes them one lock at a time.
    rounds: list[dict[str, Package]] = []
    for package in by_file.values():
        free = next((each for each in rounds if package["name"] not in each), None)
        if free is None:
            free = {}
            rounds.append(free)
        free[package["name"]] = package
    for number, lock in enumerate(rounds):
        path = os.path.join(request["work"], f"lock-{number}.txt")
        with open(path, "w", encoding="utf-8") as file:
            for package in lock.values():
                file.write(f"{package['name']}=={package['version']} --hash=sha256:{package['sha256']}\n")
        arguments = ["download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", path]
        arguments += ["--dest", request["directory"], "--find-links", request["directory"]]
        if run_pip([*arguments, *target_arguments(request["target"])], offline=False) != 0:
            raise ToolFailed("failed", ["pip could not download all wheels; its words stand above"])
    missing = [file for file in by_file if not os.path.exists(os.path.join(request["directory"], file))]
    if missing:
        raise ToolFailed("failed", [f"{file} was not downloaded" for file in missing])
