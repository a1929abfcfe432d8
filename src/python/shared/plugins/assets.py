"""Blobs as local files. `batch["data"]` of a binary row holds a URL `s3://<bucket id>/<sha256>`, never bytes.

The appliance keeps a blob under its hash in the bucket's directory; the worker hands those directories in before rows
arrive. Stored blobs are never copied unless a file name suffix is asked for.
"""

import os
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

MAX_DOWNLOAD_BYTES = 4 * 1024**3
DOWNLOAD_TIMEOUT_SECONDS = 60

_ASSET_URL = re.compile(r"s3://([A-Za-z0-9_-]{1,128})/([0-9a-f]{64})")
_roots: dict[str, str] = {}


def use_asset_roots(roots: Mapping[str, str]) -> None:
    """Replaces the directories blobs are found in: bucket id to absolute directory. Called by the worker."""
    _roots.clear()
    _roots.update(roots)


def download_asset(url: str, suffix: str | None = None) -> tuple[str, bool]:
    """Local path of `url` and whether it is a temporary file, which the caller then deletes.

    `suffix` (".mp4") makes sure that the path ends so. Takes asset URLs, http(s) URLs, and paths of files that were handed
    out here or lie in the worker's temporary directory: rows come from strangers, and one that names another file of this
    machine does not get it.
    Raises ValueError for another URL, FileNotFoundError for a blob that is not stored here, OSError from the network.
    """
    if url.startswith(("http://", "https://")):
        return _fetch(url, suffix or os.path.splitext(url.split("?", 1)[0])[1][:16]), True
    path = _stored_path(url)
    if not suffix or path.endswith(suffix):
        return path, False
    handle, copy = tempfile.mkstemp(suffix=suffix)
    try:
        with os.fdopen(handle, "wb") as target, open(path, "rb") as source:
            shutil.copyfileobj(source, target, 1 << 20)
    except BaseException:
        os.unlink(copy)
        raise
    return copy, True


@contextmanager
def open_asset(url: str, suffix: str | None = None) -> Iterator[str]:
    """`download_asset` for a `with` block: a temporary file is gone after it."""
    path, temporary = download_asset(url, suffix=suffix)
    try:
        yield path
    finally:
        if temporary and os.path.exists(path):
            os.unlink(path)


def _stored_path(url: str) -> str:
    asset = _ASSET_URL.fullmatch(url)
    if asset is None:
        if "://" not in url and _is_own_file(url):
            return url
        raise ValueError(f"{url[:200]!r} is not an asset URL (s3://<bucket id>/<sha256>) or an http(s) URL.")
    bucket_id, digest = asset.groups()
    root = _roots.get(bucket_id)
    if root is None:
        raise FileNotFoundError(f"Bucket {bucket_id} was not given to this worker, so {url} cannot be read here.")
    path = os.path.join(root, digest[:2], digest)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Bucket {bucket_id} holds no blob {digest}.")
    return path


def _is_own_file(path: str) -> bool:
    if "\0" in path or not os.path.isfile(path):
        return False
    real = os.path.realpath(path)
    places = [os.path.realpath(place) for place in (tempfile.gettempdir(), *_roots.values())]
    return any(os.path.commonpath([place, real]) == place for place in places)


def _fetch(url: str, suffix: str) -> str:
    handle, path = tempfile.mkstemp(suffix=suffix)
    try:
        with os.fdopen(handle, "wb") as target, urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as answer:
            written = 0
            while chunk := answer.read(1 << 20):
                written += len(chunk)
                if written > MAX_DOWNLOAD_BYTES:
                    raise OSError(f"{url[:200]} is larger than {MAX_DOWNLOAD_BYTES} bytes.")
                target.write(chunk)
    except BaseException:
        os.unlink(path)
        raise
    return path
