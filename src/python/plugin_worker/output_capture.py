"""stdout and stderr belong to the plugin: pipes that the appliance drains, line by line. The protocol never uses them."""

import faulthandler
import io
import sys


def prepare_streams() -> None:
    """UTF-8 whatever the locale, a line leaves when it is complete, and a crash in native code prints where it was."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    if sys.stderr is not None:
        faulthandler.enable(file=sys.stderr)


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # A plugin may have closed or replaced it; what it printed then is its own loss.
            continue
