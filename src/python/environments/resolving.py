"""From requirements to exact files: pip's own resolver over the wheel store, and an index only where there is one.

The packages of the base environment count as installed: what fits them stays, and only what a plugin needs beyond them, or
in another version, is named. What the workers themselves need is asked for along with it, so no plugin can take it away.
"""

import io
import json
import os
import re
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from environments.missing_wheels import Store, missing_wheels
from environments.pip_of_interpreter import import_pip, run_pip
from environments.requirements_text import Stated, read_requirements
from environments.tool_failed import ToolFailed
from environments.wheel_files import sha256_of

MAX_PACKAGES: Final = 500

# How pip and urllib3 word it when no connection came about.
_UNREACHABLE: Final = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|SSLError|Connection refused|Read timed out"
)

Package = dict[str, Any]


def resolve(request: dict[str, Any]) -> dict[str, Any]:
    """{"ok": true, "packages": [{name, version, file, sha256, url}]}.

    Request: `requirements` [{text, origin}], `workers_need` [str], `base` (a folder of packages, or null), `stores` (folders
    of wheels), `index` (bool), `work` (a folder to write to), `target` (null, or another machine's {python, abi, platforms,
    markers}). `url` is null for a file of a store. Raises ToolFailed: "invalid", "missing", "conflict", "pip".
    """
    import_pip()
    target = request.get("target")
    if target is not None:
        _stand_in(target)
    stated = read_requirements(request["requirements"])
    base = request["base"]
    if base is not None:
        sys.path.append(base)
    report = os.path.join(request["work"], "report.json")
    for store in request["stores"]:
        _refuse_unreadable_names(store)
    output = _run(request, stated, report, target)
    if output is not None:
        store = Store(request["stores"], base)
        raise _why(stated, request, store, output)
    with open(report, encoding="utf-8") as file:
        packages = [_package(item, request["stores"]) for item in json.load(file)["install"]]
    if len(packages) > MAX_PACKAGES:
        raise ToolFailed("invalid", [f"{len(packages)} packages would be installed, {MAX_PACKAGES} at most"])
    _check_hashes(stated, packages, request.get("base_hashes") or {})
    packages.sort(key=lambda package: str(package["name"]))
    return {"ok": True, "packages": packages}


def _run(request: dict[str, Any], stated: list[Stated], report: str, target: dict[str, Any] | None) -> str | None:
    """Null when pip resolved it; else what it said."""
    lines = os.path.join(request["work"], "requirements.txt")
    with open(lines, "w", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in [*(each.text for each in stated), *request["workers_need"]])
    arguments = ["install", "--dry-run", "--quiet", "--report", report, "-r", lines]
    arguments += [] if request["index"] else ["--retries", "0", "--timeout", "5"]
    for store in request["stores"]:
        arguments += ["--find-links", store]
    arguments += [] if request["index"] else ["--no-index"]
    # A source distribution's metadata comes from running it: only what a build of ours has made a wheel of is seen here.
    arguments += ["--only-binary", ":all:"]
    if target is not None:
        arguments += [*target_arguments(target), "--target", os.path.join(request["work"], "nowhere")]
    words = io.StringIO()
    with redirect_stdout(words), redirect_stderr(words):
        code = run_pip(arguments, offline=not request["index"])
    return None if code == 0 else words.getvalue()


def target_arguments(target: dict[str, Any]) -> list[str]:
    """pip's options for another interpreter; without the platform `any`, which pip adds itself."""
    arguments = ["--python-version", target["python"], "--implementation", "cp", "--abi", target["abi"]]
    for platform in target["platforms"]:
        if platform != "any":
            arguments += ["--platform", platform]
    return arguments


def _stand_in(target: dict[str, Any]) -> None:
    """Markers are the other machine's: pip evaluates them with this interpreter's, whatever --platform says."""
    from pip._vendor.packaging import markers

    values = {str(name): str(value) for name, value in target["markers"].items()}
    markers.default_environment = lambda: dict(values)


def _package(item: dict[str, Any], stores: list[str]) -> Package:
    """Raises ToolFailed for a file that was named by a URL inside somebody's metadata, or that has no hash."""
    metadata, download = item["metadata"], item["download_info"]
    name, version, url = str(metadata["name"]), _normal(str(metadata["version"])), str(download["url"])
    if item.get("is_direct"):
        raise ToolFailed("invalid", [f"{name} {version} would come from {_host(url)}, which a package's metadata names"])
    parts = urlsplit(url)
    path = unquote(parts.path)
    info = download.get("archive_info") or {}
    sha256 = (info.get("hashes") or {}).get("sha256") or str(info.get("hash") or "").partition("sha256=")[2]
    local = parts.scheme == "file"
    if local and os.path.dirname(path) in [os.path.realpath(store) for store in stores]:
        sha256 = sha256_of(path)
    if not sha256:
        raise ToolFailed("invalid", [f"the index names no SHA-256 of {os.path.basename(path)}"])
    return {
        **{"name": _canonical(name), "version": version, "file": os.path.basename(path), "sha256": sha256},
        "url": None if local else url.partition("#")[0],
    }


def _refuse_unreadable_names(store: str) -> None:
    """pip cannot name such a file in a URL, and gives up on all of them."""
    for name in os.listdir(store):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise ToolFailed("failed", [f"The wheel store has a file whose name is no UTF-8: {name!a}. Remove it."]) from None


def _check_hashes(stated: Iterable[Stated], packages: Iterable[Package], base: dict[str, list[str]]) -> None:
    from pip._vendor.packaging.requirements import Requirement

    files = {package["name"]: package for package in packages}
    problems: list[str] = []
    for each in stated:
        name = _canonical(Requirement(each.text).name)
        package = files.get(name)
        had = [package["sha256"]] if package is not None else base.get(name, [])
        if each.hashes and each.hashes.isdisjoint(had):
            what = package["file"] if package is not None else f"{name} of the base environment"
            problems.append(f"{each.origin}: {what} has none of the hashes that are stated for it")
    if problems:
        raise ToolFailed("invalid", problems)


def _why(stated: list[Stated], request: dict[str, Any], store: Store, output: str) -> ToolFailed:
    """pip stops at the first thing that it cannot have; a person wants to know all of them."""
    words = _words_of_pip(output)
    if not request["index"]:
        missing = missing_wheels([(each.text, each.origin) for each in stated], request["workers_need"], store)
        if missing:
            return ToolFailed("missing", [], missing)
    if request["index"] and _UNREACHABLE.search(output):
        return ToolFailed("failed", ["The package index could not be reached.", *words[-2:]])
    conflict = any("conflict" in line for line in words)
    if conflict:
        words = [*words, *_places(stated, words)]
    if not conflict and (absent := _not_found(words)) is not None:
        return ToolFailed("missing", words, [absent])
    return ToolFailed("conflict" if conflict else "failed", words or ["pip gave no reason"])


def _places(stated: list[Stated], words: list[str]) -> list[str]:
    """Where the requirements stand that pip speaks of."""
    from pip._vendor.packaging.requirements import Requirement

    said = " ".join(words)
    names = {each: Requirement(each.text).name for each in stated}
    return [f"{each.origin}: {each.text}" for each in stated if re.search(rf"\b{re.escape(names[each])}\b", said)]


def _not_found(words: list[str]) -> dict[str, Any] | None:
    for line in words:
        found = re.search(r"No matching distribution found for ([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;(]*)", line)
        if found:
            return {
                **{"name": _canonical(found[1]), "version": found[2].strip() or "any version", "required_by": []},
                "found": [],
                "sources": [],
            }
    return None


def _words_of_pip(output: str) -> list[str]:
    if "Traceback (most recent call last)" in output:
        last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
        return [f"pip cannot read a requirement or a package's metadata: {last[:300]}"]
    lines = [re.sub(r"^(ERROR|WARNING): ", "", line.strip()) for line in output.splitlines()]
    dull = ("[notice]", "For more information", "To fix this", "ResolutionImpossible", "Retrying")
    shown = [line for line in lines if line and not line.startswith(dull)]
    # Neither passwords of the index nor where this call keeps its files.
    bare = [re.sub(r" \(from -r [^)]*\(line \d+\)\)", "", re.sub(r"://[^/@\s]*@", "://", line)) for line in shown]
    return [line[:500] for line in bare][-20:]


def _normal(version: str) -> str:
    """As pip compares it, and as a lock may spell it. Raises ToolFailed."""
    from pip._vendor.packaging.version import InvalidVersion, Version

    try:
        return str(Version(version))
    except InvalidVersion as error:
        raise ToolFailed("invalid", [f"a wheel says of itself that its version is '{version[:80]}'"]) from error


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname or parts.scheme or "elsewhere"
