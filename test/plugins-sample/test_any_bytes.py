"""Every sample on damaged and random bytes: a result, or a ValueError that says what is wrong with the row."""

import base64
import json
import random
import tempfile
import unittest
from pathlib import Path

from files import avi, flac_header, mp4, pdf, png, raw_avi, tone, wav
from support import Plugin, sample

import numpy as np

TYPES = {"audio": "audio/wav", "document": "application/pdf", "image": "image/png", "video": "video/mp4"}
WHOLE = {
    "audio": [wav(tone(440, 0.05)), wav(tone(440, 0.05), bits=24, channels=2), flac_header(44_100, 2, 16, 1)],
    "document": [pdf([b"BT (some text) Tj ET"]), pdf([b"BT [(a) -200 <62>] TJ ET"], compress=False), "größer".encode()],
    "image": [
        png(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)),
        b"\xff\xd8\xff\xc0\0\x11\x08\0\x05\0\x06",
        b"GIF89a\1\0\1\0",
    ],
    "video": [
        raw_avi(np.arange(1536, dtype=np.uint8).reshape(8, 8, 8, 3), 4),
        mp4(1, 64, 48, 30),
        mp4(1, 64, 48, 30, version=1),
        avi(10, 5, 32, 32),
    ],
}
ROUNDS = 120


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file cut short, with bytes changed, or with a piece of it repeated or taken out."""
    start, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    kind = chance.randrange(4)
    if kind == 0:
        return data[:start]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 12)):
            changed[chance.randrange(len(data))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        return bytes(changed)
    return data[:end] + data[start:] if kind == 2 else data[:start] + data[end:]


class AnyBytes(unittest.TestCase):
    def check(self, plugin: Plugin, value: object, mime_type: str) -> None:
        try:
            row = plugin.describe(value, mime_type)
        except ValueError as error:
            self.assertRegex(str(error), "empty|damaged|neither a PDF|no image that|no video that|data URL|asset URL|more than")
            return
        vector = row.pop(plugin.embedding)
        if vector is not None:
            self.assertEqual(vector.shape, (plugin.manifest.features[0]["embedding_dim"],))
            self.assertAlmostEqual(float(np.linalg.norm(vector)), 1, places=4)
        added = {name: row[name] for name in plugin.manifest.output_schema.model_fields if name in row}
        json.dumps(added, allow_nan=False)  # what a document stores is plain JSON

    def test_damaged_files(self) -> None:
        for category, mime_type in TYPES.items():
            plugin = sample(category)
            chance = random.Random(category)
            for _ in range(ROUNDS):
                self.check(plugin, damaged(chance.choice(WHOLE[category]), chance), mime_type)

    def test_random_bytes_after_every_known_beginning(self) -> None:
        beginnings = [whole[:length] for found in WHOLE.values() for whole in found for length in (0, 4, 12, 24)]
        for category, mime_type in TYPES.items():
            plugin = sample(category)
            chance = random.Random(category)
            for beginning in beginnings:
                self.check(plugin, beginning + chance.randbytes(chance.randrange(200)), mime_type)

    def test_a_url_a_file_and_bytes_say_the_same(self) -> None:
        for category, mime_type in TYPES.items():
            plugin = sample(category)
            data = WHOLE[category][0]
            field = next(iter(plugin.manifest.input_schema.model_fields))
            with tempfile.TemporaryDirectory() as directory:
                path = Path(directory) / "asset"
                path.write_bytes(data)
                values = [data, str(path), f"data:{mime_type};base64,{base64.b64encode(data).decode()}"]
                rows = [plugin.describe(value, mime_type) for value in values]
            for row in rows:
                row.pop(field)
                vector = row[plugin.embedding]
                row[plugin.embedding] = None if vector is None else vector.tolist()
            self.assertEqual(rows[0], rows[1])
            self.assertEqual(rows[0], rows[2])

    def test_what_names_nothing_readable_is_an_error_of_the_row(self) -> None:
        for category, mime_type in TYPES.items():
            plugin = sample(category)
            for value in (b"", "data:,x", "data:image/png;base64,???", "s3://bucket", "no/such/file"):
                with self.assertRaises(ValueError):
                    plugin.describe(value, mime_type)


class Multimodal(unittest.TestCase):
    def test_damaged_images_beside_a_text_are_a_result_or_an_error_that_says_so(self) -> None:
        plugin = sample("multimodal")
        chance = random.Random(5)
        ended = {"result": 0, "error": 0}
        for _ in range(ROUNDS):
            image = damaged(WHOLE["image"][0], chance) or b"x"
            try:
                row = plugin.run([{"text": "some words \ud800", "image": image}]).iloc[0]
            except ValueError as error:
                self.assertRegex(str(error), "the image is damaged|no image that")
                ended["error"] += 1
                continue
            ended["result"] += 1
            self.assertAlmostEqual(float(np.linalg.norm(row[plugin.embedding])), 1, places=4)
            self.assertTrue(row["has_text"] and row["has_image"])
        self.assertGreater(min(ended.values()), 0, ended)


if __name__ == "__main__":
    unittest.main()
