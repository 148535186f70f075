"""Reports as files: written batch by batch to a temporary file, with the digest that its answer names."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import IO, Any

from flask import Response

from exchange.conventions import repr_digest

CHUNK_BYTES = 1 << 16
TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}

Batches = Iterable[list[list[Any]]]
Writer = Callable[[IO[bytes], Mapping[str, str], Batches], None]


def write_csv(file: IO[bytes], columns: Mapping[str, str], batches: Batches) -> None:
    """RFC 4180 with a header; empty where there is no value."""
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(columns)
    for batch in batches:
        writer.writerows(batch)
    text.detach()


def write(form: str, file: IO[bytes], columns: Mapping[str, str], batches: Batches) -> None:
    """Write in one of the `TYPES`. What writes Parquet is loaded when it is asked for: it is large."""
    writer: Writer = write_csv if form == "csv" else import_module("exchange.reports.parquet").write_parquet
    writer(file, columns, batches)


def answer(name: str, form: str, columns: Mapping[str, str], batches: Batches) -> Response:
    """The file as an answer with its length and its digest (`Repr-Digest`, RFC 9530); it is gone when it was sent."""
    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        write(form, file, columns, batches)
        digest = hashlib.sha256()
        size = 0
        file.seek(0)
        for chunk in _chunks(file):
            digest.update(chunk)
            size += len(chunk)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    response = Response(_sent(file), mimetype=TYPES[form])
    response.call_on_close(file.close)
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    response.headers["Repr-Digest"] = repr_digest(digest.digest())
    return response


def _sent(file: IO[bytes]) -> Iterator[bytes]:
    """The file, closed with its last byte; where it breaks off, the response closes it."""
    with file:
        yield from _chunks(file)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK_BYTES), b"")
