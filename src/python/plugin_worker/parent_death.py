"""A worker never outlives the appliance, even while plugin code holds the interpreter."""

import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """SIGKILL when the spawning thread of the appliance ends (Linux). Elsewhere the closing channel ends the worker.

    Raises OSError when the kernel refuses. A parent that died before this call shows as a closed channel.
    """
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
