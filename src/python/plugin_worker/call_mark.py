"""Which rows the call under way has, where the appliance finds it after this process has died of it.

A file of four little-endian u64 beside the results: first row, last row, how many, and the how manieth call of its step
in this partition it is; all 0 between the calls. The appliance makes it and holds it open. Mapped, so that a call costs
no system call. It is a hint and no more: the appliance cuts by it what it would have halved, and a row is blamed only
when it dies alone.
"""

import mmap
import os
import struct

NAME = "call"

_MARK = struct.Struct("<QQQQ")


class CallMark:
    """Opens the file in a directory; `close` leaves it there.

    Raises OSError where the disk has no room: found out by a mapping alone it would be a SIGBUS amid a call, put down to its rows.
    """

    def __init__(self, directory: str) -> None:
        descriptor = os.open(os.path.join(directory, NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(_MARK.size))
            self._file = mmap.mmap(descriptor, _MARK.size)
        finally:
            os.close(descriptor)
        self._calls = 0

    def begin(self, first: int, last: int, rows: int) -> None:
        self._calls += 1
        _MARK.pack_into(self._file, 0, first, last, rows, self._calls)

    def clear(self) -> None:
        """Before the calls of another step, or what is none."""
        self._calls = 0
        _MARK.pack_into(self._file, 0, 0, 0, 0, 0)

    def close(self) -> None:
        self._file.close()
