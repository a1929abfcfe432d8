"""plugins-sample/audio on WAV files made here, and on the headers of other formats."""

import struct
import unittest

from files import flac_header, float_wav, tone, wav
from support import sample

import numpy as np

PLUGIN = sample("audio")


def describe(data: bytes, **parameters: object) -> dict:
    return PLUGIN.describe(data, "audio/wav", **parameters)


class Audio(unittest.TestCase):
    def test_a_tone_has_the_figures_of_that_tone_at_every_width_and_number_of_channels(self) -> None:
        for bits in (8, 16, 24, 32):
            for channels in (1, 2, 6):
                row = describe(wav(tone(1000), bits=bits, channels=channels))
                self.assertEqual((row["format"], row["sample_rate"], row["decoded"]), ("wav", 16_000, True))
                self.assertEqual(
                    (row["channels"], row["bits_per_sample"], row["duration_seconds"]), (channels, bits, 0.5)
                )
                self.assertAlmostEqual(row["rms"], 0.5 / 2**0.5, places=2)
                self.assertAlmostEqual(row["peak"], 0.5, places=2)
                self.assertAlmostEqual(row["zero_crossing_rate"], 2000, delta=20)
                self.assertAlmostEqual(row["spectral_centroid"], 1000, delta=60)

    def test_floating_point_samples_are_read_and_what_is_no_number_is_silence(self) -> None:
        samples = tone(440)
        self.assertAlmostEqual(describe(float_wav(samples))["rms"], 0.5 / 2**0.5, places=2)
        samples[::2] = np.nan
        samples[1::2] = np.inf
        self.assertEqual(describe(float_wav(samples))["rms"] is not None, True)

    def test_sounds_alike_are_closer_than_others_whatever_their_loudness_and_rate(self) -> None:
        random = np.random.default_rng(1)
        sounds = [
            wav(tone(440)),
            wav(tone(445, loudness=0.2, rate=44_100), rate=44_100),
            wav(tone(3000)),
            wav(random.uniform(-0.5, 0.5, 8_000)),
        ]
        rows = [{"audio": sound, "mime_type": "audio/wav"} for sound in sounds]
        low, other_low, high, hiss = PLUGIN.run(rows)[PLUGIN.embedding]
        self.assertGreater(low @ other_low, low @ high + 0.2)
        self.assertGreater(low @ other_low, low @ hiss + 0.2)

    def test_silence_has_figures_and_no_vector(self) -> None:
        row = describe(wav(np.zeros(4_000)))
        self.assertIsNone(row[PLUGIN.embedding])
        self.assertEqual((row["rms"], row["silence_share"], row["spectral_centroid"]), (0, 1, None))

    def test_only_max_seconds_are_read_but_the_duration_is_the_whole(self) -> None:
        sound = np.concatenate([tone(500, 1.0), np.zeros(16_000)])
        row = describe(wav(sound), max_seconds=1)
        self.assertEqual(row["duration_seconds"], 2.0)
        self.assertAlmostEqual(row["rms"], 0.5 / 2**0.5, places=2)

    def test_headers_of_other_formats(self) -> None:
        flac = describe(flac_header(44_100, 2, 24, 441_000))
        self.assertEqual(
            [
                flac[name]
                for name in ("format", "sample_rate", "channels", "bits_per_sample", "duration_seconds", "decoded")
            ],
            ["flac", 44_100, 2, 24, 10.0, False],
        )
        vorbis = b"OggS" + bytes(24) + b"\x01vorbis" + bytes(4) + b"\x02" + struct.pack("<I", 48_000) + bytes(12)
        vorbis += b"OggS\0\x04" + struct.pack("<q", 96_000) + bytes(14)
        ogg = describe(vorbis)
        self.assertEqual(
            [ogg[name] for name in ("format", "sample_rate", "channels", "duration_seconds")], ["ogg", 48_000, 2, 2.0]
        )
        names = {
            "mp3": b"ID3\4abc",
            "aac": b"\xff\xf1\x50",
            "m4a": b"\0\0\0\x20ftypM4A ",
            "opus": b"OggS" + bytes(24) + b"OpusHead",
        }
        for name, data in {**names, "aiff": b"FORM\0\0\0\0AIFF"}.items():
            self.assertEqual(describe(data)["format"], name)
        self.assertEqual(describe(b"\xff\xfb\x90\0")["format"], "mp3")

    def test_a_damaged_header_is_an_error_that_says_so(self) -> None:
        whole = wav(tone(440, 0.01))
        for at, value in ((22, b"\0\0"), (24, bytes(4)), (24, b"\xff\xff\xff\xff"), (34, b"\x07\0"), (34, b"\0\0")):
            with self.assertRaisesRegex(ValueError, "the WAV file is damaged: it claims"):
                describe(whole[:at] + value + whole[at + len(value) :])
        for cut, missing in ((14, "header"), (36, "sound")):
            with self.assertRaisesRegex(ValueError, f"the WAV file is damaged: it has no {missing}"):
                describe(whole[:cut])

    def test_sound_that_is_cut_short_is_read_as_far_as_it_goes(self) -> None:
        whole = wav(tone(440, 1.0))
        self.assertEqual(describe(whole[: len(whole) // 2])["duration_seconds"], 0.4993)

    def test_a_coding_that_is_not_read_has_its_figures(self) -> None:
        whole = wav(tone(440, 0.5, rate=8_000), rate=8_000, bits=8)
        for coding, bits in ((0x55, 0), (0x11, 4), (7, 8)):
            other = whole[:20] + struct.pack("<H", coding) + whole[22:34] + struct.pack("<H", bits) + whole[36:]
            row = describe(other)
            self.assertEqual((row["format"], row["decoded"], row["duration_seconds"]), ("wav", False, 0.5))
            self.assertEqual(row["bits_per_sample"], bits or None)
            self.assertIsNotNone(row[PLUGIN.embedding])


if __name__ == "__main__":
    unittest.main()
