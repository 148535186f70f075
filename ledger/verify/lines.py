"""Reads tapes of any length in chunks of whole lines: flat memory whatever the file holds."""

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

LONGEST_LINE = 256 * 1024
"""Bytes of a line that is read at all; a record with a hundred documents and its proof is far below."""
CHUNK_BYTES = 256 * 1024
GZIP = b"\x1f\x8b"

Report = Callable[[str, str, int], None]
"""Takes the code, the message and the byte of a fault in the file."""


class Chunk(NamedTuple):
    """Whole lines, the byte at which they begin, and how many bytes of the file on the disk are read by now."""

    at: int
    data: bytes
    done: int = 0


def read_chunks(raw: IO[bytes], *, report: Report, zipped: bool | None = None) -> Iterator[Chunk]:
    """The lines of `raw`, which may be gzipped (`zipped` None: as its first bytes say); faults go to `report`.

    Reported: a line too long, an end within a line, and gzip data that is cut short, damaged or none.
    """
    splitter = _Splitter(report)
    for block in _blocks(raw, splitter, zipped=zipped):
        chunk = splitter.take(block)
        if chunk is not None:
            yield chunk._replace(done=raw.tell())
    splitter.end()


def _blocks(raw: IO[bytes], splitter: "_Splitter", *, zipped: bool | None) -> Iterator[bytes]:
    if zipped is None:
        zipped = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
    stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[assignment]  # reads alike
    while True:
        try:
            block = stream.read(CHUNK_BYTES)
        except EOFError:
            splitter.fail("truncated_gzip", "The gzip data ends too early.")
            return
        except (gzip.BadGzipFile, zlib.error, zipfile.BadZipFile) as error:
            splitter.fail("not_gzip", f"The gzip data is damaged, or none: {error}.")
            return
        if not block:
            return
        yield block


class _Splitter:
    """Cuts blocks at their last line end, and never holds more than the longest line and a block."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._at = 0
        self._rest = b""
        self._skipping = False
        self._failed = False

    def take(self, block: bytes) -> Chunk | None:
        """The whole lines up to the end of this block, if there are any."""
        if self._skipping:
            end = block.find(b"\n") + 1
            self._at += end or len(block)
            self._skipping = not end
            if self._skipping:
                return None
            block = block[end:]
        data = self._rest + block
        end = data.rfind(b"\n") + 1
        chunk = Chunk(self._at, data[:end]) if end else None
        self._at += end
        self._rest = data[end:]
        if len(self._rest) > LONGEST_LINE:
            self._report("line_too_long", f"A line is longer than {LONGEST_LINE} bytes.", self._at)
            self._at += len(self._rest)
            self._rest, self._skipping = b"", True
        return chunk

    def fail(self, code: str, message: str) -> None:
        """The rest cannot be read."""
        self._failed = True
        self._report(code, message, self._at + len(self._rest))

    def end(self) -> None:
        """Nothing follows: there must be no line without its end."""
        if self._rest and not self._failed:
            self._report("truncated", "The file ends within a line.", self._at)
