"""The bytes that a row names."""

import base64
import binascii
from pathlib import Path
from typing import Any, Optional

from shared.plugins import open_asset


def read_asset(value: Any, limit_bytes: int) -> Optional[bytes]:
    """Bytes of an asset URL, a data URL or an http(s) URL; None when the row names nothing.

    Raises ValueError for an empty asset, one of more than `limit_bytes`, and a broken data URL.
    """
    if isinstance(value, bytes):
        data = value
    elif not isinstance(value, str) or not value:
        return None
    elif value.startswith("data:"):
        data = _decode_data_url(value)
    else:
        with open_asset(value) as path:
            size = Path(path).stat().st_size
            if size > limit_bytes:
                raise ValueError(f"the asset has {size} bytes, more than the {limit_bytes} this plugin reads")
            data = Path(path).read_bytes()
    if not data:
        raise ValueError("the asset is empty (0 bytes)")
    return data


def _decode_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise ValueError('a data URL must look like "data:<type>;base64,<data>"')
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the data URL is not valid base64: {error}") from error
