"""The bytes of a document, which a row either names or, if it is plain text, holds itself."""

import base64
import binascii
from pathlib import Path
from typing import Any, Optional

from shared.plugins import open_asset

NAMES = ("s3://", "http://", "https://", "data:")


def read_document(value: Any, mime_type: Any, limit_bytes: int) -> Optional[bytes]:
    """Bytes of an asset URL, a data URL, an http(s) URL, or the text itself; None for nothing.

    Raises ValueError for an empty document, one of more than `limit_bytes`, and a broken data URL.
    """
    if isinstance(value, bytes):
        data = value
    elif not isinstance(value, str) or not value:
        return None
    elif value.startswith("data:"):
        data = _decode_data_url(value)
    elif value.startswith(NAMES) or not _is_text(mime_type):
        with open_asset(value) as path:
            size = Path(path).stat().st_size
            if size > limit_bytes:
                raise ValueError(f"the document has {size} bytes, more than the {limit_bytes} this plugin reads")
            data = Path(path).read_bytes()
    else:
        data = value.encode("utf-8", "replace")
    if not data:
        raise ValueError("the document is empty (0 bytes)")
    return data


def _is_text(mime_type: Any) -> bool:
    return isinstance(mime_type, str) and mime_type.startswith("text/")


def _decode_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise ValueError('a data URL must look like "data:<type>;base64,<data>"')
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the data URL is not valid base64: {error}") from error
