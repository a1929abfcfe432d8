"""The samples with the libraries that their requirements.txt offer, on files that these libraries and Debian packages make."""

import io
import os
import random
import struct
import tempfile
import time
import unittest
import zlib
from pathlib import Path

from files import noise, picture, png, raw_avi, wav
from support import MEDIA, sample

import numpy as np

if MEDIA:
    import av
    import pypdfium2
    from library_files import FIRST, colored, encoded, film, whole_pdf
    from PIL import Image, ImageDraw

# PDF files that packages bring: whichever of them this machine has is read.
DEBIAN = Path("/usr/share/doc")


@unittest.skipUnless(MEDIA, "MIXPEEK_TEST_MEDIA_PACKAGES names no libraries")
class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.plugin = sample("image")

    def describe(self, data: bytes, **parameters: object) -> dict:
        return self.plugin.describe(data, "image/x", **parameters)

    def test_every_format_is_decoded_to_the_same_picture(self) -> None:
        pixels = picture(3, 96)
        rows = {name: self.describe(encoded(pixels, name)) for name in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "PPM")}
        for name, row in rows.items():
            self.assertEqual((row["format"], row["width"], row["height"], row["decoded"]), (name.lower(), 96, 96, True))
            distance = int(row["perceptual_hash"], 16) ^ int(rows["PNG"]["perceptual_hash"], 16)
            self.assertLessEqual(distance.bit_count(), 4, name)
            self.assertGreater(row[self.plugin.embedding] @ rows["PNG"][self.plugin.embedding], 0.97, name)

    def test_the_hash_holds_over_size_and_quality(self) -> None:
        original = Image.fromarray(picture(4, 400))
        small = np.asarray(original.resize((150, 150)))
        hashes = [
            int(self.describe(data)["perceptual_hash"], 16)
            for data in (encoded(np.asarray(original), "PNG"), encoded(small, "JPEG", quality=30), encoded(picture(5, 400), "PNG"))
        ]
        self.assertLessEqual((hashes[0] ^ hashes[1]).bit_count(), 6)
        self.assertGreaterEqual((hashes[0] ^ hashes[2]).bit_count(), 16)

    def test_with_and_without_pillow_a_png_file_says_the_same(self) -> None:
        pixels = picture(6, 80)
        own = self.plugin.module("processors.perceptual_hash").perceptual_hash(pixels)
        self.assertEqual(self.describe(png(pixels))["perceptual_hash"], own)

    def test_kinds_of_pixels_that_a_png_file_may_have_are_decoded(self) -> None:
        gray = (np.arange(32 * 32).reshape(32, 32) * 64).astype(np.uint16)
        kinds = [gray, picture(1, 32)[:, :, 0], np.dstack([picture(1, 32), np.full((32, 32), 90, np.uint8)])]
        for pixels in kinds:
            row = self.describe(encoded(pixels, "PNG"))
            self.assertTrue(row["decoded"])
            self.assertGreater(row["contrast"], 0.05)
        buffer = io.BytesIO()
        Image.fromarray(picture(1, 32)).convert("CMYK").save(buffer, "JPEG")
        self.assertTrue(self.describe(buffer.getvalue())["decoded"])

    def test_the_rotation_that_a_camera_noted_is_applied_and_damaged_exif_data_is_none(self) -> None:
        wide = np.zeros((20, 40, 3), np.uint8)
        wide[:, :20] = 255
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = self.describe(encoded(wide, "JPEG", exif=exif))
        self.assertEqual((turned["width"], turned["height"]), (20, 40))
        for broken in (b"Exif\0\0II*\0" + b"\xff" * 60, b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(8)):
            row = self.describe(encoded(wide, "JPEG", exif=broken))
            self.assertEqual((row["width"], row["height"], row["decoded"]), (40, 20, True))

    def test_damaged_files_are_errors_that_say_so(self) -> None:
        for name in ("PNG", "JPEG", "WEBP", "GIF"):
            whole = encoded(noise(64, 64, 3), name)
            with self.assertRaisesRegex(ValueError, "damaged|no image that"):
                self.describe(whole[: len(whole) // 2])
        with self.assertRaisesRegex(ValueError, "no image that the plugin can read: it begins with the bytes 3c 21"):
            self.describe(b"<!doctype html><p>404")

    def test_an_image_made_to_fill_the_memory_is_not_unpacked(self) -> None:
        def chunk(name: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

        for side in (8_000, 30_000, 2**31 - 1):
            header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + chunk(b"IEND", b"")
            started = time.process_time()
            row = self.describe(bomb)
            self.assertEqual((row["width"], row["height"], row["decoded"]), (side, side, False))
            self.assertLess(time.process_time() - started, 1)

    def test_a_text_and_a_photograph_make_one_vector(self) -> None:
        plugin = sample("multimodal")
        photo = encoded(picture(2, 64), "JPEG")
        rows = plugin.run([{"text": "a quiet lake", "image": photo}, {"text": "a quiet lake"}, {"image": photo}])
        both, text, image = rows[plugin.embedding]
        self.assertGreater(min(both @ text, both @ image), 0.6)
        self.assertEqual(rows["image_format"].tolist()[0], "jpeg")
        with self.assertRaisesRegex(ValueError, "damaged"):
            plugin.run([{"text": "a quiet lake", "image": photo[:200]}])


@unittest.skipUnless(MEDIA, "MIXPEEK_TEST_MEDIA_PACKAGES names no libraries")
class Videos(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.plugin = sample("video")

    def describe(self, data: object, **parameters: object) -> dict:
        return self.plugin.describe(data, "video/x", **parameters)

    def test_frames_of_every_container_have_their_statistics(self) -> None:
        pictures = colored((220, 30, 30), 12) + colored((20, 30, 200), 12)
        films = {
            "mp4": film("mp4", "mpeg4", pictures),
            "quicktime": film("mov", "mpeg4", pictures),
            "avi": film("avi", "mjpeg", pictures),
            "matroska": film("matroska", "mpeg4", pictures),
            "mpeg-ts": film("mpegts", "mpeg2video", pictures, rate=25),
        }
        vectors = {}
        for name, data in films.items():
            row = self.describe(data)
            self.assertEqual((row["container"], row["width"], row["height"], row["decoded"]), (name, 64, 48, True))
            self.assertGreater(row["frames_sampled"], 10, name)
            self.assertAlmostEqual(row["scene_change_score"], 1, delta=0.1, msg=name)
            self.assertEqual(len(row["scene_changes"]), 1, name)
            self.assertAlmostEqual(row["brightness"], (280 + 250) / 6 / 255, delta=0.05, msg=name)
            self.assertLess(row["contrast"], 0.05)
            vectors[name] = row[self.plugin.embedding]
            if name != "mpeg-ts":
                self.assertAlmostEqual(row["duration_seconds"], 2.4, delta=0.2)
                self.assertAlmostEqual(row["frame_rate"], 10, delta=1)
                self.assertAlmostEqual(row["scene_changes"][0], 1.2, delta=0.15)
        self.assertGreater(vectors["mp4"] @ vectors["avi"], 0.95)

    def test_frames_are_spread_over_a_long_video_and_found_from_a_file_on_disk(self) -> None:
        pictures = [pixels for shade in range(8) for pixels in colored((shade * 30, shade * 30, shade * 30), 50)]
        data = film("mp4", "mpeg4", pictures, rate=5, g="25")
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "film.mp4"
            path.write_bytes(data)
            row = self.describe(str(path), max_frames=8)
        self.assertEqual((row["duration_seconds"], row["frames_sampled"]), (80.0, 8))
        self.assertAlmostEqual(row["brightness"], 105 / 255, delta=0.03)
        self.assertAlmostEqual(row["brightness_change"], np.std(np.arange(8) * 30) / 255, delta=0.03)

    def test_what_moves_is_told_from_what_stands(self) -> None:
        moving = []
        for number in range(20):
            pixels = np.zeros((48, 64, 3), np.uint8)
            pixels[20:30, 2 * number : 2 * number + 12] = 255
            moving.append(pixels)
        moves, stands = self.describe(film("avi", "mjpeg", moving)), self.describe(film("avi", "mjpeg", moving[:1] * 20))
        self.assertGreater(moves["motion"], stands["motion"] + 0.005)
        self.assertLess(stands["motion"], 0.001)
        self.assertEqual(stands["scene_changes"], [])

    def test_a_file_with_sound_alone_has_no_frames_and_is_no_error(self) -> None:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as file:
            stream = file.add_stream("aac", rate=16_000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4_096), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16_000
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        row = self.describe(buffer.getvalue())
        self.assertEqual((row["container"], row["decoded"], row["audio_codec"]), ("mp4", False, "mp4a"))

    def test_damaged_files_and_lists_of_other_files_are_errors_that_say_so(self) -> None:
        whole = film("mp4", "mpeg4", colored((90, 90, 90), 20))
        for data in (whole[: len(whole) // 2], whole[:40], b"\0\0\0\x18ftypisom" + b"\xff" * 400):
            with self.assertRaisesRegex(ValueError, "the video is damaged"):
                self.describe(data)
        for data in (b"#EXTM3U\n#EXTINF:1\n/etc/hostname\n", b"ffconcat version 1.0\nfile /etc/hostname\n", b"not a video"):
            with self.assertRaisesRegex(ValueError, "no video that the plugin can read"):
                self.describe(data)

    def test_a_piece_that_is_damaged_costs_its_frames_alone(self) -> None:
        whole = bytearray(film("avi", "mjpeg", [noise(48, 64, 3) for _ in range(30)]))
        at = len(whole) // 2
        whole[at : at + 3_000] = bytes(3_000)
        self.assertGreater(self.describe(bytes(whole))["frames_sampled"], 10)

    def test_frames_that_claim_to_be_vast_are_refused(self) -> None:
        whole = bytearray(raw_avi(np.zeros((2, 8, 8, 3), np.uint8), 2))
        form = whole.index(b"strf") + 8
        whole[form + 4 : form + 12] = struct.pack("<ii", 200_000, 200_000)
        with self.assertRaisesRegex(ValueError, "the video is damaged"):
            self.describe(bytes(whole))


@unittest.skipUnless(MEDIA, "MIXPEEK_TEST_MEDIA_PACKAGES names no libraries")
class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.plugin = sample("document")

    def describe(self, data: object, **parameters: object) -> dict:
        return self.plugin.describe(data, "application/pdf", **parameters)

    def test_text_and_layout_of_each_page(self) -> None:
        row = self.describe(whole_pdf([FIRST, b"BT /F1 20 Tf 100 500 Td (Second page) Tj ET"]))
        self.assertEqual((row["page_count"], row["pdf_version"], row["fonts"]), (2, "1.7", ["Helvetica"]))
        first, second = row["pages"]
        self.assertEqual((first["number"], first["width"], first["height"], first["rotation"]), (1, 612, 792, 0))
        self.assertEqual([block["text"] for block in first["blocks"]], ["The budget report of 2024\ncompanies grew", "A note below"])
        left, bottom, right, top = first["blocks"][0]["box"]
        self.assertTrue(71 < left < 75 and 680 < bottom < 690 and 180 < right < 230 and 705 < top < 715, (left, bottom, right, top))
        self.assertEqual(second["text"], "Second page")
        self.assertEqual(row["word_count"], 12)
        self.assertTrue(row["text_found"])

    def test_pages_characters_and_blocks_are_bounded_and_all_pages_counted(self) -> None:
        data = whole_pdf([FIRST] * 9)
        row = self.describe(data, max_pages=3, max_blocks=3)
        self.assertEqual((row["page_count"], len(row["pages"])), (9, 3))
        self.assertEqual([len(page["blocks"]) for page in row["pages"]], [2, 1, 0])
        row = self.describe(data, max_characters=60)
        self.assertLessEqual(row["character_count"], 60)
        self.assertLess(len(row["pages"]), 4)

    def test_a_scan_has_pages_and_no_text(self) -> None:
        buffer = io.BytesIO()
        image = Image.new("RGB", (200, 100), "white")
        ImageDraw.Draw(image).text((10, 40), "words in a picture", fill="black")
        image.save(buffer, "PDF")
        row = self.describe(buffer.getvalue())
        self.assertEqual((row["page_count"], row["text_found"], row[self.plugin.embedding]), (1, False, None))

    def test_damaged_files_are_errors_that_say_so(self) -> None:
        for data in (b"%PDF-1.7\n" + b"\xff" * 300, b"%PDF-1.4\n/Type /Page"):
            with self.assertRaisesRegex(ValueError, "the PDF file is damaged"):
                self.describe(data)

    def test_pdf_files_of_debian_packages_are_read(self) -> None:
        found = sorted(DEBIAN.glob("*/*.pdf"))[:4]
        if not found:
            self.skipTest("no package of this machine has a PDF file")
        for path in found:
            row = self.describe(path.read_bytes())
            self.assertEqual(row["page_count"], len(pypdfium2.PdfDocument(path)))
            self.assertTrue(row["text_found"] and row["fonts"], path)
            self.assertTrue(any(page["blocks"] for page in row["pages"]), path)


@unittest.skipUnless(MEDIA, "MIXPEEK_TEST_MEDIA_PACKAGES names no libraries")
class HostileFiles(unittest.TestCase):
    def test_damaged_files_end_as_a_result_or_a_value_error(self) -> None:
        chance = random.Random(11)
        whole = {
            "image": [encoded(picture(1, 48), name) for name in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF")],
            "video": [film("mp4", "mpeg4", colored((9, 9, 9), 8)), film("avi", "mjpeg", colored((9, 9, 9), 8))],
            "document": [whole_pdf([FIRST])],
            "audio": [wav(np.zeros(500))],
        }
        for category, files in whole.items():
            plugin = sample(category)
            for _ in range(int(os.environ.get("MIXPEEK_TEST_ROUNDS", "60"))):
                data = bytearray(chance.choice(files))
                for _ in range(chance.randrange(1, 30)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
                try:
                    plugin.describe(bytes(data), {"document": "application/pdf"}.get(category, f"{category}/x"))
                except ValueError as error:
                    self.assertRegex(str(error), "damaged|no image|no video|neither a PDF")


if __name__ == "__main__":
    unittest.main()
