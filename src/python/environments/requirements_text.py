"""Requirements as plugins state them, judged line by line: names, versions, extras and markers, and nothing that names a place.

Where packages come from is the appliance's business: URLs, paths and options of pip are refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from environments.tool_failed import ToolFailed

MAX_REQUIREMENTS: Final = 200
_MAX_LENGTH: Final = 1_000
MAX_PROBLEMS: Final = 20
# Names, versions and markers are ASCII; '$' would be a variable to pip.
_PLAIN: Final = re.compile(r"[ -#%-~\t]*")
_HASH: Final = re.compile(r"\s--hash[= ](\w+):([0-9a-fA-F]+)")


@dataclass(frozen=True, slots=True)
class Stated:
    """One requirement of a plugin. `origin` says where it stands, such as `requirements.txt:3`."""

    text: str
    origin: str
    # SHA-256 that its file must have one of; none: any.
    hashes: frozenset[str] = field(default_factory=frozenset)


def read_requirements(entries: Iterable[dict[str, Any]]) -> list[Stated]:
    """Those that are meant for this Python. Raises ToolFailed ("invalid") with the lines that are none.

    What pip gets is written anew from the parts: its own reading of such a line knows options, variables and more line ends than
    ours, so nothing of a plugin's text may reach it.
    """
    stated: list[Stated] = []
    problems: list[str] = []
    for entry in entries:
        origin, text = str(entry["origin"]), str(entry["text"])
        try:
            read = _read(origin, text)
        except _Refused as refused:
            problems.append(f"{origin}: {refused}")
            continue
        if read is not None:
            stated.append(read)
    if len(stated) > MAX_REQUIREMENTS:
        problems.append(f"{len(stated)} requirements are stated, {MAX_REQUIREMENTS} are taken at most")
    if problems:
        more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
        raise ToolFailed("invalid", [*problems[:MAX_PROBLEMS], *more])
    return stated


class _Refused(Exception):
    """Why a line is no requirement that is taken."""


def _read(origin: str, text: str) -> Stated | None:
    """Null when it is not meant for this Python. Raises _Refused."""
    hashes = _HASH.findall(text)
    bare = _HASH.sub("", text).strip()
    if len(bare) > _MAX_LENGTH:
        raise _Refused(f"longer than {_MAX_LENGTH} characters")
    shown = _short(bare)
    if not _PLAIN.fullmatch(bare):
        raise _Refused(f"{shown} has characters that no requirement has")
    if bare.startswith("-"):
        raise _Refused(f"{shown} is an option; the appliance decides where packages come from")
    if re.match(r"(\.{0,2}/|file:|\w+\+|https?:)", bare):
        raise _Refused(f"{shown} names a place; name a package and its versions")
    unknown = {kind for kind, _ in hashes if kind != "sha256"}
    if unknown:
        raise _Refused(f"states a hash of {', '.join(sorted(unknown))}; sha256 is what is compared")
    line, meant = _canonical_line(bare, shown)
    return Stated(line, origin, frozenset(value.lower() for _, value in hashes)) if meant else None


def _canonical_line(bare: str, shown: str) -> tuple[str, bool]:
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.version import Version

    try:
        requirement = Requirement(bare)
        meant = requirement.marker is None or bool(requirement.marker.evaluate({"extra": ""}))
        ranges = []
        for specifier in requirement.specifier:
            operator, version = str(specifier.operator), str(specifier.version)
            # A version that is none would be compared as text.
            if operator not in ("==", "!=", "<=", ">=", "<", ">", "~="):
                raise ValueError(f"'{operator}' is no comparison of versions")
            star = ".*" if operator in ("==", "!=") and version.endswith(".*") else ""
            ranges.append(f"{operator}{Version(version.removesuffix('.*') if star else version)}{star}")
    except RecursionError:
        raise _Refused("is nested too deep") from None
    except Exception as error:
        # What packaging raises for a marker that compares the wrong things differs from version to version.
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise _Refused(f"{shown} is no requirement: {_short(why)}") from None
    if requirement.url is not None:
        raise _Refused(f"{shown} names a place; name a package and its versions")
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{','.join(sorted(ranges))}", meant


def _short(text: str) -> str:
    printable = "".join(each if " " <= each <= "~" else "?" for each in text)
    return f"'{printable if len(printable) <= 80 else printable[:77] + '...'}'"
