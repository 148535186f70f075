"""Bulk signing of records, against raw Ed25519 signing of the very same bytes.

Measured, in one process: canonical bytes, five salts, four disclosures, the signature and the log entry of each record.
Floor: `cryptography` signs the same signing inputs. The two take turns batch by batch, the best of three processor
times each, so that what else the machine does weighs on neither.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from exchange.entropy import system_entropy
from ledger import records
from ledger.disclosures import SALT_BYTES
from ledger.keys import FileSigner
from tests.benchmarks.report import Result, best_of

RECORDS = 20_000
BATCH = 2_000
TIMES = 3
TARGET = 0.5
MOMENT = datetime(2026, 3, 2, 1, tzinfo=UTC)


class Birth(NamedTuple):
    """What the first record of an asset says."""

    body: dict[str, Any]
    hidden: dict[str, Any]


def measure() -> Result:
    """Records a second, and signatures a second."""
    signer = FileSigner.from_seed(bytes(range(32)))
    seconds = floor_seconds = 0.0
    for births in batches(RECORDS, BATCH):
        inputs = [jws.rpartition(".")[0].encode() for jws in _seal(births, signer)]
        seconds += best_of(TIMES, partial(_seal, births, signer))
        floor_seconds += best_of(TIMES, partial(_sign, inputs, signer))
    value, floor = RECORDS / seconds, RECORDS / floor_seconds
    return Result("sign", value, "records/s", floor, value / floor, TARGET)


def batches(count: int, size: int) -> Iterator[list[Birth]]:
    """Births of `count` assets, `size` at a time."""
    for start in range(0, count, size):
        yield [birth(number) for number in range(start, min(start + size, count))]


def birth(number: int) -> Birth:
    """The first record of an asset, as the exchange writes it."""
    body = {
        "type": "asset.confirmed",
        "asset": f"ast_{number:026d}",
        "sequence": 1,
        "prev": None,
        "recorded_at": int(MOMENT.timestamp()),
        "product": "receivable_factoring",
        "currency": "CNY",
        "face_minor": 1_000_000 + number,
        "issue_date": "2026-02-01",
        "due_date": "2026-04-01",
        "recourse": "without",
        "confirmation": {"grade": "explicit", "date": "2026-03-01"},
    }
    hidden = {
        "seller": f"platform:seller-{number % 40}",
        "obligor": f"platform:plant-{number % 1000}",
        "invoice_number": f"XS-{number:07d}",
        "documents": [
            {"kind": "invoice", "sha256": f"{number:064x}"},
            {"kind": "delivery_note", "sha256": f"{number + 1:064x}"},
        ],
    }
    return Birth(body, hidden)


def salt(_name: str) -> bytes:
    """As the sealer draws it in production."""
    return system_entropy(SALT_BYTES)


def _seal(births: list[Birth], signer: FileSigner) -> list[str]:
    return [_sealed(birth, signer) for birth in births]


def _sign(inputs: list[bytes], signer: FileSigner) -> None:
    for message in inputs:
        signer.sign(message)


def _sealed(birth: Birth, signer: FileSigner) -> str:
    body = birth.body
    sealed = records.seal(body, disclosable=birth.hidden, signer=signer, salt=salt)
    records.leaf(
        body["asset"],
        kind=body["type"],
        sequence=1,
        prev=None,
        digest=sealed.digest,
        kid=signer.kid,
        recorded_at=MOMENT,
    )
    return sealed.jws
