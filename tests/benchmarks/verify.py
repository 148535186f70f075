"""Verification of a tape, against raw Ed25519 verification of the same signatures.

Measured, in one process: every line of a tape parsed, held against its canonical form, its signature, disclosures and
chain checked. Floor: `cryptography` verifies the same signatures. The two take turns chunk by chunk, the best of nine
processor times each. Printed besides: the rate of one and of two processes by the clock, and the peak memory of a
process that verifies 10,000 records and `RECORDS` (environment; 100,000 unless told otherwise).
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import orjson

from ledger import records
from ledger.canonical import canonical_bytes
from ledger.encoding import parse_base64url
from ledger.keys import FileSigner
from ledger.verify.findings import Findings
from ledger.verify.lines import Chunk, read_chunks
from ledger.verify.tape import Job, Tally, check_chunk, verify_tape
from ledger.verify.trust import Trust, raw_keys
from tests.benchmarks.report import Result, best_of
from tests.benchmarks.sign import MOMENT, batches, salt

SMALL = 10_000
BATCH = 1_000
TIMES = 9
PROCESSES = 2
TARGET = 0.8
SIGNER = FileSigner.from_seed(bytes(range(32)))
TRUST = Trust(raw_keys({SIGNER.kid: SIGNER.public_key}))


def measure() -> Result:
    """Records a second, and verifications a second."""
    with tempfile.TemporaryDirectory(prefix="exchange-verify-") as folder:
        tape, large = Path(folder, "tape.ndjson"), Path(folder, "large.ndjson")
        write_tape(tape, SMALL)
        result = _ratio(tape)
        rates = [_rate(tape, jobs=jobs) for jobs in (1, PROCESSES)]
        print(f"verify: {rates[0]:,.0f} records/s by the clock, {rates[1]:,.0f} with {PROCESSES} processes")
        count = int(os.environ.get("RECORDS", "100000"))
        write_tape(large, count)
        for path, size in ((tape, SMALL), (large, count)):
            print(f"verify: {_peak_megabytes(path):,.0f} MB at most for {size:,} records")
    return result


def write_tape(path: Path, count: int) -> None:
    """A tape of `count` records, two an asset: born, and sold."""
    with path.open("wb") as file:
        for births in batches(count // 2, BATCH):
            for born in births:
                first = records.seal(born.body, disclosable=born.hidden, signer=SIGNER, salt=salt)
                body = {
                    "type": "asset.assigned",
                    "asset": born.body["asset"],
                    "sequence": 2,
                    "prev": first.digest.hex(),
                    "recorded_at": int(MOMENT.timestamp()) + 60,
                    "holder": "fnd_01",
                    "pool": "pool_01",
                    "effective_date": "2026-03-02",
                }
                hidden = {"price_minor": 990_000, "face_minor": born.body["face_minor"]}
                second = records.seal(body, disclosable=hidden, signer=SIGNER, salt=salt)
                for sealed in (first, second):
                    line = {"disclosures": list(sealed.disclosures), "jws": sealed.jws}
                    file.write(canonical_bytes(line) + b"\n")


def verify(path: Path, *, jobs: int) -> Tally:
    """Verify a tape; nothing is wrong with it."""
    findings = Findings()
    with path.open("rb") as file:
        chunks = read_chunks(file, report=lambda *fault: sys.exit(str(fault)))
        tally = verify_tape(chunks, Job(str(path), TRUST), findings=findings, jobs=jobs)
    if findings:
        sys.exit(str(findings.kept[0]))
    return tally


def _ratio(path: Path) -> Result:
    seconds = floor_seconds = 0.0
    count = 0
    job = Job(str(path), TRUST)
    with path.open("rb") as file:
        for chunk in read_chunks(file, report=lambda *fault: sys.exit(str(fault))):
            signatures = _signatures(chunk)
            seconds += best_of(TIMES, partial(check_chunk, chunk, job))
            floor_seconds += best_of(TIMES, partial(_verify_raw, signatures))
            count += len(signatures)
    value, floor = count / seconds, count / floor_seconds
    return Result("verify", value, "records/s", floor, value / floor, TARGET)


def _verify_raw(signatures: list[tuple[bytes, bytes]]) -> None:
    for message, signature in signatures:
        SIGNER.public_key.verify(signature, message)


def _signatures(chunk: Chunk) -> list[tuple[bytes, bytes]]:
    parted = [orjson.loads(line)["jws"].rpartition(".") for line in chunk.data.splitlines()]
    return [(signed.encode(), parse_base64url(signature)) for signed, _, signature in parted]


def _rate(path: Path, *, jobs: int) -> float:
    began = time.perf_counter()
    return verify(path, jobs=jobs).records / (time.perf_counter() - began)


def _peak_megabytes(path: Path) -> float:
    """The peak memory of a process of its own that verifies the tape."""
    command = [sys.executable, "-m", "tests.benchmarks.verify", str(path)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


if __name__ == "__main__":
    verify(Path(sys.argv[1]), jobs=1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
