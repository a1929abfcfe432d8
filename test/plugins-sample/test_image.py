"""plugins-sample/image on PNG files made here, and on the headers of other formats."""

import struct
import time
import unittest
import zlib

from files import noise, picture, png
from support import sample

import numpy as np

PLUGIN = sample("image")
DECODE = PLUGIN.module("processors.png").decode_png
RANDOM = np.random.default_rng(7)


def scene(top: tuple, bottom: tuple, size: int = 24) -> np.ndarray:
    """A picture of two halves, with a little noise, as photographs have it."""
    pixels = np.zeros((size, size, 3), np.int16)
    pixels[: size // 2], pixels[size // 2 :] = top, bottom
    return np.clip(pixels + RANDOM.integers(-8, 9, pixels.shape), 0, 255).astype(np.uint8)


class Png(unittest.TestCase):
    def test_every_filter_and_every_kind_of_pixel_decodes_to_what_was_encoded(self) -> None:
        for channels in (1, 2, 3, 4):
            for filters in ("0", "1", "2", "3", "4", "mixed"):
                for height, width in ((1, 1), (1, 9), (9, 1), (13, 7), (6, 17)):
                    pixels = noise(height, width, channels)
                    expected = pixels[:, :, :3] if channels > 2 else np.repeat(pixels[:, :, :1], 3, axis=2)
                    decoded = DECODE(png(pixels, filters), 10_000)
                    self.assertTrue(np.array_equal(decoded, expected), (channels, filters, height, width))

    def test_a_palette_gives_its_colors(self) -> None:
        palette = noise(1, 5, 3)[0]
        index = RANDOM.integers(0, 5, (8, 6, 1), dtype=np.uint8)
        self.assertTrue(np.array_equal(DECODE(png(index, palette=palette), 10_000), palette[index[:, :, 0]]))
        with self.assertRaisesRegex(ValueError, "damaged: it uses colours that its palette does not have"):
            DECODE(png(index + 5, palette=palette), 10_000)

    def test_a_too_large_file_is_not_decoded_and_a_damaged_one_is_an_error(self) -> None:
        whole = png(noise(20, 20, 3))
        self.assertIsNone(DECODE(whole, 399))
        for cut in range(0, len(whole) - 40, 7):
            with self.assertRaisesRegex(ValueError, "the image is damaged"):
                DECODE(whole[:cut], 400)
        with self.assertRaisesRegex(ValueError, "1220 bytes of pixels in place of 1281"):
            DECODE(whole.replace(struct.pack(">II", 20, 20), struct.pack(">II", 20, 21)), 10_000)

    def test_a_million_pixels_take_a_few_seconds_at_most(self) -> None:
        # Rows of the costliest filter, written without the slow encoder of these tests.
        raw = (b"\4" + bytes(3000)) * 1000
        whole = png(noise(1, 1, 3)).replace(struct.pack(">II", 1, 1), struct.pack(">II", 1000, 1000))
        start = whole.index(b"IDAT") - 4
        body = zlib.compress(raw)
        started = time.process_time()
        decoded = DECODE(whole[:start] + struct.pack(">I", len(body)) + b"IDAT" + body + bytes(4), 1_000_000)
        self.assertEqual(decoded.shape, (1000, 1000, 3))
        self.assertLess(time.process_time() - started, 10)


class Image(unittest.TestCase):
    def test_figures_of_a_decoded_image(self) -> None:
        row = PLUGIN.describe(png(np.full((4, 6, 3), (255, 128, 0), np.uint8)), "image/png")
        self.assertEqual((row["format"], row["width"], row["height"], row["decoded"]), ("png", 6, 4, True))
        self.assertEqual((row["mean_color"], row["contrast"]), ("#ff8000", 0))
        self.assertEqual(row["main_color"], "#e0a020")
        self.assertAlmostEqual(row["brightness"], (255 + 128 + 0) / 3 / 255, places=3)

    def test_the_perceptual_hash_is_near_for_copies_and_far_for_other_images(self) -> None:
        hashes = [
            PLUGIN.describe(png(pixels), "image/png")["perceptual_hash"]
            for pixels in (picture(1, 64), picture(1, 40), picture(2, 64), np.full((9, 9, 3), 7, np.uint8))
        ]
        original, smaller, other, plain = (int(found, 16) for found in hashes)
        self.assertTrue(all(len(found) == 16 for found in hashes))
        self.assertLessEqual((original ^ smaller).bit_count(), 6)
        self.assertGreaterEqual((original ^ other).bit_count(), 16)
        self.assertEqual(plain, 1 << 63)

    def test_images_alike_are_closer_than_others_and_undecoded_ones_are_apart(self) -> None:
        pictures = [
            png(scene((90, 160, 230), (40, 120, 40))),
            png(scene((100, 170, 235), (50, 110, 45), size=32)),
            png(scene((20, 20, 30), (200, 60, 30))),
            b"\xff\xd8\xff" + bytes(range(256)),
        ]
        rows = [{"image": picture, "mime_type": "image/png"} for picture in pictures]
        meadow, other_meadow, fire, undecoded = PLUGIN.run(rows)[PLUGIN.embedding]
        self.assertGreater(meadow @ other_meadow, meadow @ fire + 0.3)
        self.assertEqual(meadow @ undecoded, 0)

    def test_size_of_other_formats_is_read_from_their_headers(self) -> None:
        jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc4\0\x03x\xff\xc2\0\x11\x08" + struct.pack(">HH", 480, 640) + bytes(20)
        cases = {
            ("jpeg", 640, 480): jpeg,
            ("gif", 320, 200): b"GIF89a" + struct.pack("<HH", 320, 200) + bytes(10),
            ("bmp", 33, 44): b"BM" + bytes(16) + struct.pack("<ii", 33, -44) + bytes(10),
            ("webp", 11, 22): b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x0a\0\0\x15\0\0",
            ("webp", 100, 50): b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 99 | 49 << 14),
            ("webp", 12, 13): b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 12, 13),
        }
        for expected, data in cases.items():
            row = PLUGIN.describe(data, "image/x")
            self.assertEqual((row["format"], row["width"], row["height"]), expected)
            self.assertFalse(row["decoded"])

    def test_a_file_cut_short_has_a_format_and_no_size(self) -> None:
        for data in (b"\xff\xd8\xff", b"GIF8", b"BM"):
            row = PLUGIN.describe(data, "image/x")
            self.assertIsNotNone(row["format"])
            self.assertIsNone(row["width"])

    def test_rows_of_other_types_pass_by(self) -> None:
        rows = [{"image": None, "mime_type": "text/plain"}, {"image": png(noise(2, 2, 3)), "mime_type": "image/png"}]
        result = PLUGIN.run(rows)
        self.assertIsNone(result[PLUGIN.embedding][0])
        self.assertEqual(result["width"].tolist(), [None, 2])


if __name__ == "__main__":
    unittest.main()
