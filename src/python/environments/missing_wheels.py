"""Which wheels a resolution lacks, all of them: the tree of requirements is walked as far as the files at hand reach.

Not a resolver: it takes the highest version that fits and goes on. pip has said no by then; this says what to bring.
"""

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from environments.wheel_files import BadWheel, is_source, metadata_of, wheel_name

# Of the files named per package, and of the packages looked at.
_MAX_FOUND: Final = 10
_MAX_STEPS: Final = 5_000


@dataclass(frozen=True, slots=True)
class _Candidate:
    version: Any
    # Null for a package of the base environment.
    path: str | None
    requires: tuple[str, ...]


class Store:
    """The wheels of folders and the packages of the base environment, as this interpreter may use them."""

    def __init__(self, folders: Iterable[str], base: str | None) -> None:
        from pip._vendor.packaging.tags import sys_tags

        self._tags = {str(tag) for tag in sys_tags()}
        self._files: dict[str, list[str]] = {}
        self._installed = _installed(base)
        for folder in folders:
            for file in sorted(os.listdir(folder)):
                name = _name_of(file)
                if name is not None:
                    self._files.setdefault(name, []).append(os.path.join(folder, file))

    def candidates(self, name: str, specifier: Any) -> tuple[list[_Candidate], list[str]]:
        """Those that fit, and of the other files why each does not."""
        fitting: list[_Candidate] = []
        found: list[str] = []
        installed = self._installed.get(name)
        if installed is not None:
            if specifier.contains(installed.version, prereleases=True):
                fitting.append(installed)
            else:
                found.append(f"{installed.version} of the base environment is outside of the range")
        for path in self._files.get(name, []):
            reason, candidate = self._look(path, specifier)
            if candidate is not None:
                fitting.append(candidate)
            elif len(found) < _MAX_FOUND:
                found.append(f"{os.path.basename(path)} {reason}")
        return fitting, found

    def sources(self, name: str, specifier: Any) -> list[str]:
        """Paths of the source distributions within the range, the newest first."""
        paths = [path for path in self._files.get(name, []) if is_source(os.path.basename(path))]
        versions = {path: _source_version(os.path.basename(path)) for path in paths}
        fitting = [path for path in paths if specifier.contains(versions[path], prereleases=True)]
        return sorted(fitting, key=lambda path: versions[path], reverse=True)

    def _look(self, path: str, specifier: Any) -> tuple[str, _Candidate | None]:
        from pip._vendor.packaging.version import Version

        file = os.path.basename(path)
        if is_source(file):
            within = specifier.contains(_source_version(file), prereleases=True)
            return "is a source distribution" if within else "is outside of the range", None
        try:
            wheel = wheel_name(file)
            version = Version(wheel.version)
            if not wheel.tags & self._tags:
                return "is for another Python or platform", None
            if not specifier.contains(version, prereleases=True):
                return "is outside of the range", None
            headers = metadata_of(path)
            python = headers["Requires-Python"]
            if python and not _fits_python(str(python)):
                return f"needs Python {python}", None
        except BadWheel as error:
            return f"is no wheel: {error}", None
        return "", _Candidate(version, path, tuple(headers.get_all("Requires-Dist") or ()))


def missing_wheels(
    stated: Iterable[tuple[str, str]], workers_need: Iterable[str], store: Store
) -> list[dict[str, Any]]:
    """[{name, version: the range, required_by: [...], found: [...]}], in the order in which they are met."""
    from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
    from pip._vendor.packaging.specifiers import SpecifierSet
    from pip._vendor.packaging.utils import canonicalize_name

    queue = deque([*stated, *((text, "the workers themselves") for text in workers_need)])
    ranges: dict[str, SpecifierSet] = {}
    missing: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, str]] = set()
    steps = 0
    while queue and steps < _MAX_STEPS:
        steps += 1
        text, asker = queue.popleft()
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        name = str(canonicalize_name(requirement.name))
        asked = (name, f"{sorted(requirement.extras)} {requirement.specifier}")
        if asked in seen:
            continue
        seen.add(asked)
        ranges[name] = ranges.get(name, SpecifierSet()) & requirement.specifier
        fitting, found = store.candidates(name, ranges[name])
        if not fitting:
            # Each alone could be had: that is a conflict, and pip's to tell.
            if not store.candidates(name, requirement.specifier)[0]:
                missing[name] = {
                    **{"name": name, "version": str(requirement.specifier) or "any version"},
                    **{"required_by": [asker], "found": found},
                    "sources": store.sources(name, requirement.specifier),
                }
            continue
        best = max(fitting, key=lambda candidate: (candidate.path is None, not candidate.version.is_prerelease, candidate.version))
        for needed in best.requires:
            if _is_meant(needed, requirement.extras):
                queue.append((needed, f"{name} {best.version}"))
    return list(missing.values())


def _is_meant(text: str, extras: Iterable[str]) -> bool:
    from pip._vendor.packaging.requirements import Requirement

    try:
        marker = Requirement(text).marker
        return marker is None or any(marker.evaluate({"extra": extra}) for extra in ["", *extras])
    except Exception:
        # Somebody's metadata: pip, which has refused it, says what is wrong with it.
        return False


def _fits_python(text: str) -> bool:
    import platform

    from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return bool(SpecifierSet(text).contains(platform.python_version(), prereleases=True))
    except InvalidSpecifier:
        return True


def _installed(base: str | None) -> dict[str, _Candidate]:
    from importlib.metadata import distributions

    from pip._vendor.packaging.utils import canonicalize_name
    from pip._vendor.packaging.version import Version

    if base is None:
        return {}
    return {
        str(canonicalize_name(each.metadata["Name"])): _Candidate(Version(each.version), None, tuple(each.requires or ()))
        for each in distributions(path=[base])
    }


def _source_version(file: str) -> Any:
    from pip._vendor.packaging.utils import parse_sdist_filename

    return parse_sdist_filename(file)[1]


def _name_of(file: str) -> str | None:
    from pip._vendor.packaging.utils import InvalidSdistFilename, parse_sdist_filename

    try:
        if file.endswith(".whl"):
            return wheel_name(file).name
        return str(parse_sdist_filename(file)[0]) if is_source(file) else None
    except (BadWheel, InvalidSdistFilename):
        return None
