"""An outcome that the caller was built for: what was asked for cannot be had, with the reasons."""

from collections.abc import Sequence
from typing import Any


class ToolFailed(Exception):
    """`kind`: "invalid" (a requirement that is none), "missing" (no wheel), "conflict", "pip" (none, or too old), "failed"."""

    def __init__(self, kind: str, problems: Sequence[str], missing: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__("\n".join(problems))
        self.kind = kind
        self.problems = tuple(problems)
        self.missing = tuple(missing)
