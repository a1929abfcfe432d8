"""Archives as Python's own archivers write them, into a folder: what `fuzz-archives` starts its mutations from."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

FILES = {
    "plugin/manifest.py": b"# manifest\n",
    "plugin/pipeline.py": b"import json\n" * 200,
    "plugin/processors/core.py": bytes(range(256)) * 20,
    "plugin/empty.txt": b"",
    "plugin/" + "long_" * 24 + "/" + "name_" * 20 + ".py": b"x = 1\n",
    "plugin/umläut/日本.txt": "ä日".encode(),
}


class Pipe(io.RawIOBase):
    """Cannot seek: sizes and checksums then come behind the data."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        return self.file.write(data)

    def close(self) -> None:
        self.file.close()
        super().close()


def write_tar(path: Path, tar_format: int) -> None:
    with tarfile.open(path, "w", format=tar_format) as archive:
        for name, data in FILES.items():
            if tar_format == tarfile.USTAR_FORMAT and len(name) > 200:
                continue
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mtime = 1.5 if tar_format == tarfile.PAX_FORMAT else 1
            archive.addfile(member, io.BytesIO(data))
        folder = tarfile.TarInfo("plugin/folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)


def write_links(path: Path, target: str) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for kind, name, data in (
            (tarfile.SYMTYPE, "plugin/link", b""),
            (tarfile.REGTYPE, "plugin/link/through.py", b"x"),
            (tarfile.LNKTYPE, "plugin/hard", b""),
            (tarfile.CHRTYPE, "plugin/device", b""),
            (tarfile.FIFOTYPE, "plugin/pipe", b""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, target, len(data)
            archive.addfile(member, io.BytesIO(data))


def write_zip(target, *, zip64: bool = False, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in FILES.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=zip64) as member:
                member.write(data)
        archive.comment = b"a comment"


def main() -> None:
    folder, outside = Path(sys.argv[1]), sys.argv[2]
    write_tar(folder / "gnu.tar", tarfile.GNU_FORMAT)
    write_tar(folder / "pax.tar", tarfile.PAX_FORMAT)
    write_tar(folder / "ustar.tar", tarfile.USTAR_FORMAT)
    write_links(folder / "links.tar", outside)
    write_zip(folder / "deflated.zip")
    write_zip(folder / "stored.zip", method=zipfile.ZIP_STORED)
    write_zip(folder / "zip64.zip", zip64=True)
    with Pipe(folder / "streamed.zip") as pipe:
        write_zip(pipe)


main()
