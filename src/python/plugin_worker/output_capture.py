"""stdout and stderr belong to the plugin: pipes that the appliance drains, line by line. The protocol never uses them."""

import faulthandler
import io
import signal
import sys


def prepare_streams() -> None:
    """UTF-8 whatever the locale, a line leaves when it is complete; a crash in native code, and SIGUSR1, print where it is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    if sys.stderr is not None:
        faulthandler.enable(file=sys.stderr)
        # The appliance asks a worker that is late, before it ends it.
        faulthandler.register(signal.SIGUSR1, file=sys.stderr)


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # A plugin may have closed or replaced it; what it printed then is its own loss.
            continue
