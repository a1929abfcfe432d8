"""Real files that the libraries make which samples may use: Pillow, PyAV. Run by itself it prints one of each kind as JSON."""

import base64
import io
import json
from fractions import Fraction

from files import pdf, picture, png, tone, wav

import av
import numpy as np
from PIL import Image

FONT = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"
FIRST = b"BT /F1 12 Tf 72 700 Td (The budget report of 2024) Tj 0 -14 Td (companies grew) Tj 0 -300 Td (A note below) Tj ET"


def encoded(pixels: np.ndarray, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def film(name: str, codec: str, pictures: list, rate: int = 10, **options: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=name) as file:
        stream = file.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def colored(color: tuple, frames: int) -> list:
    return [np.full((48, 64, 3), color, np.uint8) for _ in range(frames)]


def whole_pdf(pages: list) -> bytes:
    """As `files.pdf`, with the font that a real reader wants, on Letter paper."""
    plain = pdf(pages)
    number = 3 + 2 * len(pages)
    resources = b"/MediaBox [0 0 612 792] /Resources <</Font <</F1 %d 0 R>>>> /Contents" % number
    return plain.replace(b"/Contents", resources).replace(b"trailer", b"%d 0 obj " % number + FONT + b" endobj\ntrailer")


if __name__ == "__main__":
    photo = picture(2, 96)
    made = {
        "picture.png": png(photo),
        "photo.jpg": encoded(photo, "JPEG"),
        "tone.wav": wav(tone(440, 0.3)),
        "film.mp4": film("mp4", "mpeg4", colored((220, 30, 30), 10) + colored((20, 30, 200), 10)),
        "film.avi": film("avi", "mjpeg", colored((220, 30, 30), 10) + colored((20, 30, 200), 10)),
        "report.pdf": whole_pdf([FIRST]),
    }
    print(json.dumps({name: base64.b64encode(data).decode() for name, data in made.items()}))
