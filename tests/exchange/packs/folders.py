"""Packs taken apart and put together again, by somebody who wants another content in them."""

import filecmp
import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from exchange import embedded
from exchange.packs.files import MANIFEST, PackWriter
from exchange.services import Services, open_services
from exchange.settings import Settings
from ledger.keys import FileSigner, Signer
from tests.conftest import TEMPLATE
from tests.exchange.house import closing

Packs = Callable[[str | None], Path]
FORGER = FileSigner.from_seed(bytes(32))
_numbers = count(1)


def quiet(_path: str, _rows: int) -> None:
    """Nobody looks on."""


@contextmanager
def elsewhere(server_url: str, home: Path) -> Iterator[Services]:
    """An empty exchange on another host."""
    name = f"elsewhere_{os.getpid()}_{next(_numbers)}"
    url = embedded.create_database(server_url, name, template=TEMPLATE)
    with closing(open_services(Settings(home=home, database_url=url, seed=7, virtual_clock=True))) as services:
        yield services
    embedded.drop_database(server_url, name)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a pack, unpacked."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): gzip.decompress(path.read_bytes())
        if path.suffix == ".gz"
        else path.read_bytes()
        for path in paths
    }


def table(folder: Path, path: str) -> list[dict[str, Any]]:
    """The rows of a table of a pack."""
    return [orjson.loads(line) for line in content(folder)[path].splitlines()]


def forged(pack: Path, folder: Path, *, signer: Signer, **edits: Callable[[Any], Any]) -> Path:
    """A copy of a pack in which files are otherwise, and whose manifest is right and signed.

    An edit is named for a file up to its dot (`tables__claim`); it gets and gives rows, or bytes of a file that is no
    table. The edit `_facts` gets and gives the manifest's other members.
    """
    writer = PackWriter(folder)
    manifest = orjson.loads((pack / MANIFEST).read_bytes())
    facts = {name: manifest[name] for name in manifest if name not in {"files", "format"}}
    facts = edits.pop("_facts", dict)(facts)
    for path, data in content(pack).items():
        edit = edits.pop(path.partition(".")[0].replace("/", "__"), None)
        if path.endswith(".gz"):
            rows = data.splitlines(keepends=True)
            with writer.lines(path) as lines:
                for row in edit(rows) if edit else rows:
                    lines.write(row)
        elif not path.startswith("manifest"):
            writer.write(path, edit(data) if edit else data)
    assert edits == {}, "an edit of a file that is not there"
    writer.finish(facts, signer=signer)
    return folder


def copied(pack: Path, folder: Path) -> Path:
    """A copy of a pack."""
    return Path(shutil.copytree(pack, folder))


def same_files(one: Path, other: Path) -> list[str]:
    """The files in which two packs differ."""
    paths = {path.relative_to(folder) for folder in (one, other) for path in folder.rglob("*") if path.is_file()}
    assert len(paths) > 20
    _, differing, missing = filecmp.cmpfiles(one, other, list(map(str, paths)), shallow=False)
    return sorted(differing + missing)
