"""plugins-sample/document on PDF files made here and on plain texts."""

import time
import unittest
import zlib

from files import pdf
from support import sample

import numpy as np

PLUGIN = sample("document")

FIRST = b"BT /F1 12 Tf 72 700 Td (The budget report of 2024) Tj 0 -14 Td [(com) -20 (panies) -300 (grew)] TJ ET"
SECOND = rb"BT /F1 12 Tf (Costs \(net\) and \101\102 fell) ' <476F6F64> Tj (one \(deep\) (inside) out) Tj ET"


def describe(data: object, mime_type: str = "application/pdf", **parameters: object) -> dict:
    return PLUGIN.describe(data, mime_type, **parameters)


class Document(unittest.TestCase):
    def test_pages_and_text_of_a_pdf_plain_and_compressed(self) -> None:
        for compress in (False, True):
            row = describe(pdf([FIRST, SECOND], compress))
            self.assertEqual(
                (row["format"], row["pdf_version"], row["page_count"], row["encrypted"]), ("pdf", "1.7", 2, False)
            )
            self.assertEqual(
                row["excerpt"].split("\n"),
                ["The budget report of 2024", "companies grew", "Costs (net) and AB fellGoodone (deep) (inside) out"],
            )
            self.assertEqual((row["text_found"], row["word_count"]), (True, 15))

    def test_pages_in_a_compressed_object_stream_are_counted(self) -> None:
        body = zlib.compress(b"2 0 3 40 <</Type /Pages /Kids [] /Count 12>> <</Type/Page>>")
        data = b"%PDF-1.5\n1 0 obj <</Type /ObjStm /Filter /FlateDecode>>\nstream\n" + body + b"\nendstream endobj"
        self.assertEqual(describe(data)["page_count"], 12)

    def test_the_count_of_an_outline_is_no_page_count(self) -> None:
        outline = b"9 0 obj <</Type /Outlines /Count 77>> endobj\n"
        self.assertEqual(describe(pdf([FIRST], extra=outline))["page_count"], 1)

    def test_a_font_with_codes_of_its_own_an_image_and_an_encrypted_file_have_no_text(self) -> None:
        codes = b"BT <0001000200030004000500060007> Tj ET"
        picture = b"8 0 obj <</Subtype /Image>>\nstream\nBT (no text at all) Tj ET\nendstream endobj\n"
        for data in (pdf([codes]), pdf([b""], extra=picture), pdf([FIRST]) + b"<</Encrypt 9 0 R>>"):
            row = describe(data)
            self.assertEqual((row["text_found"], row["excerpt"], row[PLUGIN.embedding]), (False, None, None))

    def test_documents_alike_are_closer_than_others_in_whatever_format(self) -> None:
        rows = [
            {"document": pdf([FIRST, SECOND]), "mime_type": "application/pdf"},
            {"document": "The budget report of 2024: companies grew, costs fell.", "mime_type": "text/plain"},
            {"document": "A recipe for bread: flour, water, salt and time.", "mime_type": "text/plain; charset=utf-8"},
        ]
        report, summary, recipe = PLUGIN.run(rows)[PLUGIN.embedding]
        self.assertGreater(report @ summary, report @ recipe + 0.3)

    def test_texts_in_utf8_and_utf16_are_read(self) -> None:
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            row = describe("Grüße aus Köln".encode(encoding), "text/plain")
            self.assertEqual((row["format"], row["excerpt"], row["page_count"]), ("text", "Grüße aus Köln", None))

    def test_a_text_is_cut_where_the_parameters_say(self) -> None:
        row = describe("abc " * 1000, "text/plain", max_characters=100, excerpt_characters=7)
        self.assertEqual((row["character_count"], row["excerpt"]), (100, "abc abc"))

    def test_what_is_neither_pdf_nor_text_is_an_error_that_shows_the_bytes(self) -> None:
        with self.assertRaisesRegex(ValueError, "neither a PDF file nor text.*89 50 4e 47"):
            describe(b"\x89PNG\r\n\x1a\n\0")

    def test_a_pdf_without_a_page_or_a_text_is_damaged(self) -> None:
        for data in (b"%PDF-1.4\n", b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n"):
            with self.assertRaisesRegex(ValueError, "the PDF file is damaged"):
                describe(data)

    def test_hostile_streams_end_soon(self) -> None:
        hostile = [
            zlib.compress(bytes(200_000_000)),
            zlib.compress(b"BT " + b"(" * 4_000_000),
            zlib.compress(b"BT " + b"(a" * 2_000_000),
            zlib.compress(b"BT (" + b"a" * 4_000_000),
            zlib.compress(b"BT (" + b"\\" * 4_000_000),
            zlib.compress(b"BT " + b"1" * 4_000_000),
            zlib.compress(b"BT <" + b"0" * 4_000_000),
            zlib.compress(b"BT (" + b"(a)" * 1_000_000),
        ]
        head = b"1 0 obj <</Filter /FlateDecode>>\nstream\n"
        for body in hostile:
            started = time.process_time()
            describe(b"%PDF-1.4\n/Type /Page " + head + body + b"\nendstream endobj")
            self.assertLess(time.process_time() - started, 10)
        for raw in (b"stream\n" * 500_000, b"/Type /Pages /Count 1 " * 100_000, b"/Type" + b" " * 3_000_000):
            started = time.process_time()
            describe(b"%PDF-1.4\n/Type /Page " + raw)
            self.assertLess(time.process_time() - started, 10)

    def test_one_word_makes_a_unit_vector(self) -> None:
        vector = describe("word", "text/plain")[PLUGIN.embedding]
        self.assertAlmostEqual(float(np.linalg.norm(vector)), 1, places=5)


if __name__ == "__main__":
    unittest.main()
