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
_HASH: Final = re.compile(r"\s--hash[= ](\w+):([0-9a-fA-F]+)")


@dataclass(frozen=True, slots=True)
class Stated:
    """One requirement of a plugin. `origin` says where it stands, such as `requirements.txt:3`."""

    text: str
    origin: str
    # SHA-256 that its file must have one of; none: any.
    hashes: frozenset[str] = field(default_factory=frozenset)


def read_requirements(entries: Iterable[dict[str, Any]]) -> list[Stated]:
    """Those that are meant for this Python. Raises ToolFailed ("invalid") with every line that is none."""
    from pip._vendor.packaging.requirements import InvalidRequirement, Requirement

    stated: list[Stated] = []
    problems: list[str] = []
    for entry in entries:
        origin, text = str(entry["origin"]), str(entry["text"])
        hashes = frozenset(value.lower() for kind, value in _HASH.findall(text) if kind == "sha256")
        bare = _HASH.sub("", text).strip()
        if len(bare) > _MAX_LENGTH:
            problems.append(f"{origin}: longer than {_MAX_LENGTH} characters")
        elif bare.startswith("-"):
            problems.append(f"{origin}: '{_short(bare)}' is an option; the appliance decides where packages come from")
        elif re.match(r"(\.{0,2}/|file:|\w+\+|https?:)", bare):
            problems.append(f"{origin}: '{_short(bare)}' names a place; name a package and its versions")
        else:
            try:
                requirement = Requirement(bare)
            except InvalidRequirement as error:
                problems.append(f"{origin}: '{_short(bare)}' is no requirement: {str(error).splitlines()[0]}")
                continue
            if requirement.url is not None:
                problems.append(f"{origin}: '{_short(bare)}' names a place; name a package and its versions")
            elif requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                stated.append(Stated(bare, origin, hashes))
    if len(stated) > MAX_REQUIREMENTS:
        problems.append(f"{len(stated)} requirements are stated, {MAX_REQUIREMENTS} are taken at most")
    if problems:
        raise ToolFailed("invalid", problems)
    return stated


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
