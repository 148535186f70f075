"""A pack on the disk: files with their digests in a signed manifest, the same bytes for the same content."""

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from ledger.canonical import NotCanonical, canonical_bytes, parse_canonical
from ledger.encoding import base64url
from ledger.errors import LedgerError
from ledger.keys import Signer

FORMAT = "exchange-pack/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.jws"
TYPE = "pack.manifest+jws"
CHUNK_BYTES = 1 << 20
ROWS = ".ndjson.gz"
LARGEST_MANIFEST_BYTES = 1 << 30


class PackRefused(LedgerError):
    """The pack is not whole, not what its manifest says, or cannot be used for what was asked."""

    code = "pack_refused"


class PackFile(NamedTuple):
    """What a manifest says of a file: bytes on the disk, hex SHA-256 of them, lines where it is a table."""

    size_bytes: int
    sha256: str
    rows: int | None


@dataclass(slots=True)
class _Hashed:
    """A file that knows the digest of what was written to it."""

    file: IO[bytes]
    size_bytes: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size_bytes += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


@dataclass(slots=True)
class _Lines:
    """Where the lines of a table go."""

    zipped: gzip.GzipFile
    rows: int = 0

    def write(self, line: bytes | memoryview) -> None:
        """Add one line, with its line feed."""
        self.rows += 1
        self.zipped.write(line)


class PackWriter:
    """Writes files below `folder` and keeps what the manifest says of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, PackFile] = {}

    def write(self, path: str, data: bytes) -> None:
        """A file as it is."""
        with self._file(path) as file:
            file.write(data)
        self.files[path] = PackFile(file.size_bytes, file.digest.hexdigest(), None)

    @contextmanager
    def lines(self, path: str) -> Iterator[_Lines]:
        """A compressed file of lines. No name and no time go into it."""
        with self._file(path) as file:
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
                sink = _Lines(zipped)
                yield sink
            self.files[path] = PackFile(file.size_bytes, file.digest.hexdigest(), sink.rows)

    def finish(self, facts: Mapping[str, object], *, signer: Signer) -> None:
        """The manifest over every file, with `facts`, and its signature."""
        members = {
            path: {"bytes": one.size_bytes, "sha256": one.sha256} | ({} if one.rows is None else {"rows": one.rows})
            for path, one in self.files.items()
        }
        manifest = canonical_bytes({"format": FORMAT, "files": members, **facts})
        (self.folder / MANIFEST).write_bytes(manifest)
        (self.folder / SIGNATURE).write_text(_signed(_statement(manifest), signer) + "\n")

    @contextmanager
    def _file(self, path: str) -> Iterator[_Hashed]:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            yield _Hashed(file)


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack by its manifest; what the files are, `ledger.verify` says."""

    folder: Path
    manifest: Mapping[str, Any]
    files: Mapping[str, PackFile]

    @property
    def scope(self) -> str:
        """`exchange`, or the funder whose part it is."""
        return str(self.manifest["scope"])

    def read(self, path: str) -> bytes:
        """A small file whole. Refuses `PackRefused`."""
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            raise PackRefused(f"{path} cannot be read: {error.strerror}.") from error

    def chunks(self, path: str) -> Iterable[bytes]:
        """The lines of a table, unpacked, a megabyte at a time. Refuses `PackRefused`."""
        try:
            with gzip.open(self.folder / path) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except (OSError, EOFError) as error:
            raise PackRefused(f"{path} cannot be unpacked: {error}.") from error


def open_pack(folder: Path) -> Pack:
    """The pack in `folder`. Refuses `PackRefused` when there is none or its manifest is not of the format."""
    place = folder / MANIFEST
    try:
        if place.stat().st_size > LARGEST_MANIFEST_BYTES:
            raise PackRefused("The manifest is too large.")
        manifest = parse_canonical(place.read_bytes())
        files = {
            path: PackFile(one["bytes"], one["sha256"], one.get("rows")) for path, one in manifest["files"].items()
        }
        known = manifest["format"] == FORMAT and all(map(_well_named, files))
        known = known and {"log", "made_at", "revision", "scope"} <= manifest.keys()
    except OSError as error:
        raise PackRefused(f"{folder} is not a pack: {error.strerror}.") from error
    except (NotCanonical, KeyError, TypeError, AttributeError):
        known, manifest, files = False, {}, {}
    if not known:
        raise PackRefused(f"{place} is not the manifest of a pack of format {FORMAT}.")
    return Pack(folder, manifest, files)


def _statement(manifest: bytes) -> bytes:
    """What is signed: small, because key services sign only small messages, and still it says what for."""
    told = parse_canonical(manifest)
    return canonical_bytes(
        {
            "format": FORMAT,
            "made_at": told["made_at"],
            "manifest": hashlib.sha256(manifest).hexdigest(),
            "scope": told["scope"],
        }
    )


def _signed(payload: bytes, signer: Signer) -> str:
    header = canonical_bytes({"alg": signer.alg, "kid": signer.kid, "typ": TYPE})
    signing_input = f"{base64url(header)}.{base64url(payload)}"
    return f"{signing_input}.{base64url(signer.sign(signing_input.encode()))}"


def _well_named(path: str) -> bool:
    """Whether a manifest's path stays below the pack's folder and is spelt in one way."""
    parts = PurePosixPath(path).parts
    return bool(parts) and "/".join(parts) == path and ".." not in parts and not path.startswith("/")
