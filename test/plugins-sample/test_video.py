"""plugins-sample/video on MP4 and AVI files made here, in memory and on disk."""

import struct
import tempfile
import unittest
from pathlib import Path

from files import avi, mp4
from support import sample

import numpy as np

PLUGIN = sample("video")


def describe(data: object) -> dict:
    return PLUGIN.describe(data, "video/mp4")


class Video(unittest.TestCase):
    def test_the_tracks_of_an_mp4_file_of_either_version(self) -> None:
        for version in (0, 1):
            row = describe(mp4(2.5, 1280, 720, 75, version))
            names = ("container", "duration_seconds", "width", "height", "frame_rate", "video_codec", "audio_codec")
            self.assertEqual([row[name] for name in names], ["mp4", 2.5, 1280, 720, 30.0, "avc1", "mp4a"])
            self.assertEqual([track["kind"] for track in row["tracks"]], ["video", "audio"])
            self.assertEqual(row["bits_per_second"], round(row["byte_count"] * 8 / 2.5))

    def test_an_avi_file(self) -> None:
        row = describe(avi(250, 25, 640, 480))
        names = ("container", "duration_seconds", "width", "height", "frame_rate", "video_codec")
        self.assertEqual([row[name] for name in names], ["avi", 10.0, 640, 480, 25.0, "H264"])

    def test_other_containers_are_named(self) -> None:
        cases = {
            "quicktime": mp4(1, 2, 2, 1, brand=b"qt  "),
            "webm": b"\x1a\x45\xdf\xa3" + bytes(20) + b"webm",
            "matroska": b"\x1a\x45\xdf\xa3" + bytes(20) + b"matroska",
            "mpeg-ts": (b"\x47" + bytes(187)) * 3,
            None: b"something else",
        }
        for name, data in cases.items():
            self.assertEqual(describe(data)["container"], name)

    def test_a_file_on_disk_and_its_bytes_say_the_same(self) -> None:
        data = mp4(60, 320, 240, 1500, media=3_000_000)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "film.mp4"
            path.write_bytes(data)
            stored, given = describe(str(path)), describe(data)
        for row in (stored, given):
            row.pop("video")
        self.assertTrue(np.array_equal(stored.pop(PLUGIN.embedding), given.pop(PLUGIN.embedding)))
        self.assertEqual(stored, given)

    def test_a_large_box_and_a_box_up_to_the_end_are_followed(self) -> None:
        whole = mp4(3, 64, 48, 90)
        media = whole.index(b"mdat") - 4
        movie = whole.index(b"moov") - 4
        large = struct.pack(">I4sQ", 1, b"mdat", 16 + 1000) + bytes(1000)
        open_ended = whole[:media] + large + struct.pack(">I", 0) + whole[movie + 4 :]
        self.assertEqual(describe(open_ended)["duration_seconds"], 3.0)

    def test_boxes_that_lie_about_their_length_end_the_reading(self) -> None:
        whole = mp4(3, 64, 48, 90)
        at = whole.index(b"moov") - 4
        for size in (0, 1, 2, 7, 2**32 - 1):
            row = describe(whole[:at] + struct.pack(">I", size) + whole[at + 4 :])
            self.assertEqual(row["container"], "mp4")
        endless = mp4(1, 2, 2, 1)[:16] + struct.pack(">I4s", 8, b"moov") * 100_000
        self.assertEqual(describe(endless)["tracks"], [])

    def test_copies_are_closer_than_files_of_another_coding(self) -> None:
        film = mp4(2, 64, 48, 50, media=200_000)
        rows = [film, film[:-10], b"\x47" + bytes(200_000)]
        result = PLUGIN.run([{"video": data, "mime_type": "video/mp4"} for data in rows])[PLUGIN.embedding]
        self.assertGreater(result[0] @ result[1], 0.99)
        self.assertLess(result[0] @ result[2], 0.5)


if __name__ == "__main__":
    unittest.main()
