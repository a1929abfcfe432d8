"""Wheels as files: whose they are, whom they fit, what they need, and whether each byte is what their own record says."""

import base64
import csv
import hashlib
import io
import os
import re
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any, Final

# Real METADATA files stay below 200 kB; a RECORD names every file.
_MAX_METADATA: Final = 4 << 20
_MAX_RECORD: Final = 64 << 20
_MAX_ENTRIES: Final = 200_000
_CHUNK: Final = 1 << 20


class BadWheel(Exception):
    """The file is no wheel, or not the one that it says it is."""


@dataclass(frozen=True, slots=True)
class WheelName:
    """What a file's name says. `tags` are `python-abi-platform`."""

    file: str
    name: str
    version: str
    tags: frozenset[str]


def wheel_name(file: str) -> WheelName:
    """Raises BadWheel."""
    from pip._vendor.packaging.utils import InvalidWheelFilename, parse_wheel_filename
    from pip._vendor.packaging.version import InvalidVersion

    try:
        name, version, _, tags = parse_wheel_filename(file)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise BadWheel(f"its name is none of a wheel: {error}") from error
    return WheelName(file, str(name), str(version), frozenset(str(tag) for tag in tags))


def metadata_of(path: str) -> Any:
    """The headers of its METADATA. Raises BadWheel."""
    try:
        with zipfile.ZipFile(path) as archive:
            return HeaderParser().parsestr(_text(archive, _dist_info(archive) + "/METADATA", _MAX_METADATA))
    except BadWheel:
        raise
    except Exception as error:
        # zlib, lzma, zipfile and the codecs each have errors of their own.
        raise BadWheel(f"it cannot be read: {type(error).__name__}: {error}") from error


def inspect(request: dict[str, Any]) -> dict[str, Any]:
    """For `files` (paths): {"ok": true, "wheels": [{file, name, version, tags, fits, sha256, bytes, problem}]}.

    With `whole`, every file inside is compared with RECORD. `fits` is about the interpreter that runs this.
    """
    from environments.pip_of_interpreter import import_pip

    import_pip()
    from pip._vendor.packaging.tags import sys_tags

    supported = {str(tag) for tag in sys_tags()}
    return {"ok": True, "wheels": [_inspected(path, bool(request["whole"]), supported) for path in request["files"]]}


def _inspected(path: str, whole: bool, supported: set[str]) -> dict[str, Any]:
    file = os.path.basename(path)
    found: dict[str, Any] = {
        **{"file": file, "name": None, "version": None, "tags": [], "fits": False},
        **{"sha256": None, "bytes": 0, "problem": None},
    }
    try:
        found["bytes"] = os.path.getsize(path)
        if is_source(file):
            from pip._vendor.packaging.utils import InvalidSdistFilename, parse_sdist_filename

            try:
                name, version = parse_sdist_filename(file)
            except InvalidSdistFilename as error:
                raise BadWheel(f"its name is none of a source distribution: {error}") from error
            found.update(name=str(name), version=str(version), tags=["source"])
            if whole:
                _check_source(path, str(name))
        else:
            wheel = wheel_name(file)
            found.update(
                name=wheel.name,
                version=wheel.version,
                tags=sorted(wheel.tags),
                fits=bool(wheel.tags & supported),
            )
            _check_identity(path, wheel)
            if whole:
                _check_record(path)
        if whole:
            found["sha256"] = sha256_of(path)
    except (BadWheel, OSError) as error:
        found["problem"] = str(error)[:500]
    return found


def _check_source(path: str, name: str) -> None:
    """Raises BadWheel for an archive that cannot be read to its end, or whose PKG-INFO is somebody else's."""
    from pip._vendor.packaging.utils import canonicalize_name

    try:
        text = _zipped_info(path) if path.endswith(".zip") else _tarred_info(path)
    except BadWheel:
        raise
    except Exception as error:
        raise BadWheel(f"it cannot be read: {type(error).__name__}: {error}") from error
    said = str(HeaderParser().parsestr(text)["Name"] or "")
    # An archive without PKG-INFO is old, not wrong.
    if said and canonicalize_name(said) != name:
        raise BadWheel(f"inside it says that it is {said}")


def _zipped_info(path: str) -> str:
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
        if bad is not None:
            raise BadWheel(f"{bad} in it is damaged")
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+/PKG-INFO", name)]
        return _text(archive, names[0], _MAX_METADATA) if names else ""


def _tarred_info(path: str) -> str:
    text = ""
    with tarfile.open(path, "r:gz") as archive:
        for count, member in enumerate(archive):
            if count >= _MAX_ENTRIES:
                raise BadWheel(f"it has more than {_MAX_ENTRIES} entries")
            if re.fullmatch(r"[^/]+/PKG-INFO", member.name) and member.isfile() and member.size <= _MAX_METADATA:
                content = archive.extractfile(member)
                text = content.read().decode("utf-8", "replace") if content is not None else ""
    return text


def is_source(file: str) -> bool:
    """By its name."""
    return file.endswith((".tar.gz", ".zip"))


def sha256_of(path: str) -> str:
    """Lower-case hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_identity(path: str, wheel: WheelName) -> None:
    from pip._vendor.packaging.utils import canonicalize_name
    from pip._vendor.packaging.version import InvalidVersion, Version

    headers = metadata_of(path)
    name, version = str(headers["Name"] or ""), str(headers["Version"] or "")
    try:
        same = canonicalize_name(name) == wheel.name and Version(version) == Version(wheel.version)
    except InvalidVersion:
        same = False
    if not same:
        raise BadWheel(f"inside it says that it is {name or 'nothing'} {version}".rstrip())


def _check_record(path: str) -> None:
    """Raises BadWheel for the first file that is not as RECORD has it, is not in it, or lacks."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = _dist_info(archive)
            rows = csv.reader(io.StringIO(_text(archive, info + "/RECORD", _MAX_RECORD)))
            recorded = {row[0]: row[1] for row in rows if len(row) >= 2}
            names = [entry for entry in archive.namelist() if not entry.endswith("/")]
            # A signature beside RECORD cannot be in it.
            free = {f"{info}/RECORD", f"{info}/RECORD.jws", f"{info}/RECORD.p7s"}
            for name in names:
                if name not in recorded and name not in free:
                    raise BadWheel(f"its RECORD does not name {name}")
            for name, wanted in recorded.items():
                if name in free or name.endswith("/"):
                    continue
                if name not in names:
                    raise BadWheel(f"{name}, which its RECORD names, is not in it")
                # Without a hash there is nothing but the archive's own checksum, which reading verifies.
                _check_member(archive, name, wanted)
    except BadWheel:
        raise
    except Exception as error:
        raise BadWheel(f"it is damaged: {type(error).__name__}: {error}") from error


def _check_member(archive: zipfile.ZipFile, name: str, wanted: str) -> None:
    kind, _, value = wanted.partition("=")
    if kind and kind not in ("sha256", "sha384", "sha512"):
        raise BadWheel(f"its RECORD has a hash of {name} that proves nothing: {kind}")
    digest = hashlib.new(kind or "sha256")
    with archive.open(name) as member:
        while chunk := member.read(_CHUNK):
            digest.update(chunk)
    if kind and base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != value.rstrip("="):
        raise BadWheel(f"{name} is not what its RECORD says")


def _dist_info(archive: zipfile.ZipFile) -> str:
    entries = archive.namelist()
    if len(entries) > _MAX_ENTRIES:
        raise BadWheel(f"it has {len(entries)} entries, {_MAX_ENTRIES} are taken at most")
    folders = {name.split("/", 1)[0] for name in entries if re.match(r"[^/]+\.dist-info/METADATA$", name)}
    if len(folders) != 1:
        raise BadWheel(f"it has {len(folders)} .dist-info folders with METADATA; a wheel has one")
    return folders.pop()


def _text(archive: zipfile.ZipFile, name: str, most: int) -> str:
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise BadWheel(f"it has no {name}") from error
    if info.file_size > most:
        raise BadWheel(f"its {name} has {info.file_size} bytes")
    with archive.open(info) as member:
        return member.read(most + 1).decode("utf-8", "replace")
