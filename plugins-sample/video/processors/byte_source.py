"""Reads parts of a file, because a video is too large to be read whole."""

import base64
import binascii
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional, Union

import numpy as np

from shared.plugins import open_asset


class ByteSource:
    """Bytes in memory or in a file; `read` gives fewer than asked for at the end, and none after it."""

    def __init__(self, data: bytes = b"", path: Optional[str] = None):
        self._data = data
        self._path = path
        self.size = len(data) if path is None else Path(path).stat().st_size

    @property
    def whole(self) -> Union[bytes, str]:
        """For a decoder: the bytes in memory, or the path of the file."""
        return self._data if self._path is None else self._path

    def read(self, offset: int, count: int) -> bytes:
        if offset < 0 or offset >= self.size or count <= 0:
            return b""
        if self._path is None:
            return self._data[offset : offset + count]
        return np.fromfile(self._path, np.uint8, count=min(count, self.size - offset), offset=offset).tobytes()


@contextmanager
def open_bytes(value: Any) -> Iterator[Optional[ByteSource]]:
    """The bytes of an asset URL, a data URL or an http(s) URL; None when the row names nothing.

    Raises ValueError for an empty asset and a broken data URL.
    """
    if isinstance(value, bytes):
        yield _filled(ByteSource(value))
    elif not isinstance(value, str) or not value:
        yield None
    elif value.startswith("data:"):
        yield _filled(ByteSource(_decode_data_url(value)))
    else:
        with open_asset(value) as path:
            yield _filled(ByteSource(path=path))


def _filled(source: ByteSource) -> ByteSource:
    if source.size == 0:
        raise ValueError("the asset is empty (0 bytes)")
    return source


def _decode_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise ValueError('a data URL must look like "data:<type>;base64,<data>"')
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the data URL is not valid base64: {error}") from error
