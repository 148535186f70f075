"""An asset's chain: from its first record on, none missing between, none out of order, nothing after its end."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.records import OpenedRecord, open_record

CORRECTED, SUPERSEDED = "asset.corrected", "asset.superseded"


class BrokenChain(LedgerError):
    """The records are not one asset's chain from its first record on."""

    code = "broken_chain"


class MissingLink(BrokenChain):
    """A record between two others, or before the first, is missing."""

    code = "missing_link"


class ReorderedChain(BrokenChain):
    """A record stands behind a later one of its asset, or is there twice."""

    code = "reordered_chain"


class PrevMismatch(BrokenChain):
    """The record before this one is not the one that this one names."""

    code = "prev_mismatch"


class AssetsOutOfOrder(BrokenChain):
    """The records of an asset are not together, or assets are not in order."""

    code = "assets_out_of_order"


class LogOutOfOrder(BrokenChain):
    """A record has a lower place in the log than the one before it in its chain."""

    code = "log_out_of_order"


class UnfoundedCorrection(BrokenChain):
    """A correction does not name an earlier record of its own chain by its digest."""

    code = "correction_unfounded"


class LifeAfterSuperseded(BrokenChain):
    """A record follows the one that ended its asset's life."""

    code = "life_after_superseded"


class Link(NamedTuple):
    """What a chain needs to know of a record; digests in hex; `at` is its byte in the file."""

    asset: str
    sequence: int
    prev: str | None
    digest: str
    kind: str
    corrects: tuple[int, str] | None
    log_index: int | None = None
    at: int = 0


class Chain:
    """Follows records sorted by asset and sequence; holds the digests of the current asset only.

    After a fault it takes the record as it is, so one fault is told once.
    """

    def __init__(self) -> None:
        self.last: Link | None = None
        self.assets = 0
        self._digests: dict[int, str] = {}
        self._lost = False
        self._gaps = False

    def lose(self) -> None:
        """The next record could not be read: what follows it is taken as it comes."""
        self._lost = True

    def follow(self, link: Link) -> None:
        """Take the next record. Refuses every subclass of `BrokenChain`."""
        last, lost = self.last, self._lost
        begins = last is None or link.asset != last.asset
        if begins:
            self.assets += 1
            self._digests = {}
            self._gaps = False
        corrected = self._digests.get(link.corrects[0]) if link.corrects else None
        self.last, self._lost = link, False
        self._digests[link.sequence] = link.digest
        self._gaps = self._gaps or lost or (begins and link.sequence != 1)
        if last is not None and begins and link.asset < last.asset:
            raise AssetsOutOfOrder(f"The records of {link.asset} stand behind those of {last.asset}.")
        if begins and not lost and link.sequence != 1:
            raise MissingLink(f"The chain of {link.asset} begins with record {link.sequence}.")
        if last is not None and not begins and not lost:
            _check_succession(last, link)
        if link.corrects and corrected != link.corrects[1] and (corrected or not self._gaps):
            raise UnfoundedCorrection(f"Record {link.sequence} corrects what is no earlier record of its chain.")


def link_of(record: OpenedRecord, *, digest: str, log_index: int | None = None, at: int = 0) -> Link:
    """The record's place in its chain."""
    body = record.body
    corrects = None
    if record.type == CORRECTED:
        match body.get("corrects"):
            case {"sequence": int(sequence), "record": str(corrected)}:
                corrects = (sequence, corrected)
            case _:
                corrects = (0, "")
    return Link(body["asset"], body["sequence"], body.get("prev"), digest, record.type, corrects, log_index, at)


def verify_chain(chain: Sequence[str], *, keys: Mapping[str, Ed25519PublicKey]) -> list[OpenedRecord]:
    """Check that these records are one asset's, from its first on, none missing between them or out of order.

    What may be missing is the end: compare the last `sequence` with what the log or another party knows.
    Refuses `BrokenChain` and what `records.open_record` refuses.
    """
    opened: list[OpenedRecord] = []
    state = Chain()
    for jws in chain:
        record = open_record(jws, keys=keys)
        link = link_of(record, digest=hashlib.sha256(jws.encode("ascii")).hexdigest())
        if state.last is not None and link.asset != state.last.asset:
            raise BrokenChain(f"Record {len(opened) + 1} of the chain is about another asset.")
        state.follow(link)
        opened.append(record)
    return opened


def _check_succession(last: Link, link: Link) -> None:
    """Refuse what cannot stand behind `last` in its chain."""
    if link.sequence <= last.sequence:
        raise ReorderedChain(f"Record {link.sequence} stands behind record {last.sequence}.")
    if link.sequence > last.sequence + 1:
        raise MissingLink(f"Behind record {last.sequence} stands record {link.sequence}.")
    if link.prev != last.digest:
        raise PrevMismatch(f"Record {link.sequence} names another record than the one before it.")
    if last.kind == SUPERSEDED:
        raise LifeAfterSuperseded(f"Record {link.sequence} follows the end of its asset's life.")
    if link.log_index is not None and last.log_index is not None and link.log_index <= last.log_index:
        raise LogOutOfOrder(f"Record {link.sequence} stands before its predecessor in the log.")
