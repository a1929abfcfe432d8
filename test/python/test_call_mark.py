"""The file that says which rows the call under way has."""

import errno
import os
import subprocess
import tempfile
import unittest

import support  # noqa: F401  # puts the worker's code on the path

from plugin_worker.call_mark import CallMark


class OnAFullDisk(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.disk = directory.name
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", self.disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("this user may not mount a filesystem")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk])

    def fill(self) -> None:
        with open(os.path.join(self.disk, "ballast"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def test_it_is_refused_as_any_file_is_and_not_found_out_amid_a_call(self) -> None:
        self.fill()
        with self.assertRaises(OSError) as raised:
            CallMark(self.disk)
        self.assertEqual(raised.exception.errno, errno.ENOSPC)

    def test_one_that_is_there_is_written_on_when_the_disk_is_full(self) -> None:
        mark = CallMark(self.disk)
        self.addCleanup(mark.close)
        self.fill()
        mark.begin(3, 5, 2)
        with open(os.path.join(self.disk, "call"), "rb") as file:
            self.assertEqual(file.read(8), (3).to_bytes(8, "little"))


if __name__ == "__main__":
    unittest.main()
