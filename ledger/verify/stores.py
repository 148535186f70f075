"""Where a pack or a copy of the log lies: a folder, or a zip file of one."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from ledger.errors import LedgerError

LARGEST_TEXT = 1024 * 1024
"""Bytes of a small file that are read at all: keys, policies, checkpoints, proofs."""
CHUNK_BYTES = 1024 * 1024
UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile)
"""What is raised where a file, its place in a zip file, or its gzip data is damaged."""
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class FileMissing(LedgerError):
    """A file that has to be there is missing, or cannot be read."""

    code = "file_missing"


class FileTooLarge(LedgerError):
    """A small file is larger than any of its kind."""

    code = "file_too_large"


class DamagedZip(LedgerError):
    """The zip file cannot be read, or has two files of one name."""

    code = "damaged_zip"


class Files(Protocol):
    """Files by their names, with slashes, relative to the root."""

    def open(self, name: str) -> IO[bytes]:
        """The file, to be read once. Refuses `FileMissing`."""


class Store(Files, Protocol):
    """Files that can be told, too."""

    def names(self) -> list[str]:
        """Every file's name, sorted."""


class Folder:
    """Files below a folder. A link is no file: it leads out of what was handed over."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """Every file's name, sorted; a link's too."""
        paths = self._root.rglob("*")
        return sorted(
            path.relative_to(self._root).as_posix() for path in paths if path.is_symlink() or not path.is_dir()
        )

    def open(self, name: str) -> IO[bytes]:
        """The file. Refuses `FileMissing`."""
        path = self._root / name
        try:
            if path.is_symlink():
                raise FileMissing(f"{name} is a link, not a file.")
            return path.open("rb")
        except (OSError, ValueError) as error:
            raise FileMissing(f"{name} cannot be read.") from error


class Zipped:
    """Files in an open zip file, read where they are: nothing is unpacked to the disk. Refuses `DamagedZip`."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._zip = file
        infos = [info for info in file.infolist() if not info.is_dir()]
        if not _PACKED.issuperset(info.compress_type for info in infos):
            raise DamagedZip("The zip file has a file that is neither stored nor deflated.")
        self._names = sorted(info.filename for info in infos)
        if len(set(self._names)) != len(self._names):
            raise DamagedZip("The zip file has two files of one name.")

    def names(self) -> list[str]:
        """Every file's name, sorted."""
        return self._names

    def open(self, name: str) -> IO[bytes]:
        """The file. Refuses `FileMissing`."""
        try:
            return self._zip.open(name)
        except (*UNREADABLE, KeyError, ValueError, RuntimeError) as error:
            raise FileMissing(f"{name} cannot be read.") from error


class Below:
    """The files below a folder of others."""

    def __init__(self, store: Files, folder: str) -> None:
        self._store = store
        self._prefix = f"{folder}/"

    def open(self, name: str) -> IO[bytes]:
        """The file. Refuses `FileMissing`."""
        return self._store.open(self._prefix + name)


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """The folder or zip file at `path`, closed afterwards. Refuses `DamagedZip`."""
    if path.is_dir():
        yield Folder(path)
        return
    try:
        file = zipfile.ZipFile(path)
    except (*UNREADABLE, ValueError, RuntimeError) as error:
        raise DamagedZip(f"{path.name} is damaged, or no zip file.") from error
    with file:
        yield Zipped(file)


def read_small(store: Files, name: str, *, limit: int = LARGEST_TEXT) -> bytes:
    """A small file whole. Refuses `FileMissing`, `FileTooLarge` and `DamagedZip`."""
    with store.open(name) as file:
        try:
            data = file.read(limit + 1)
        except UNREADABLE as error:
            raise DamagedZip(f"{name} cannot be unpacked.") from error
    if len(data) > limit:
        raise FileTooLarge(f"{name} is larger than {limit} bytes.")
    return data
