"""Tapes in chunks and over processes, whose keys to believe, who held what when, and the command itself."""

import gzip
import json
import subprocess
import sys
from collections.abc import Collection
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.keys import KeyRefused
from ledger.records import OpenedRecord
from ledger.verify import lines
from ledger.verify.belief import Beliefs
from ledger.verify.command import Bar, make_command
from ledger.verify.findings import KEPT, Finding, Findings
from ledger.verify.holders import Holding, holder_at, holders_at
from ledger.verify.lines import Chunk, read_chunks
from ledger.verify.output import RIGHT, UNDECIDED, WRONG
from ledger.verify.tape import Job, chains_of, key_chain, verify_tape
from ledger.verify.trust import Trust, parse_key_set, raw_keys
from tests.ledger.proof.archive import EVENTS, LOG, ONE, POLICY, START, TWO, Archive, Event

ARCHIVE = Archive()
TRUST = Trust(raw_keys({ONE.kid: ONE.public_key}))
TAPE = ARCHIVE.tape()


def chunks(data: bytes, cuts: list[int]) -> list[Chunk]:
    """The lines in chunks that end behind the lines numbered in `cuts`."""
    texts = data.splitlines(keepends=True)
    ends = sorted({*(cut for cut in cuts if 0 < cut < len(texts)), len(texts)})
    made, begin, at = [], 0, 0
    for end in ends:
        made.append(Chunk(at, b"".join(texts[begin:end])))
        begin, at = end, at + len(made[-1].data)
    return made


def outcome(data: bytes, cuts: list[int], *, jobs: int = 1) -> tuple[object, list[Finding]]:
    """What a tape comes to, in these chunks."""
    findings = Findings()
    tally = verify_tape(chunks(data, cuts), Job("tape", TRUST), findings=findings, jobs=jobs)
    return tally, sorted(findings.kept, key=lambda finding: (finding.byte or 0, finding.code))


@settings(max_examples=60)
@given(
    order=st.permutations(range(len(EVENTS))) | st.just(list(range(len(EVENTS)))),
    dropped=st.sets(st.integers(0, len(EVENTS) - 1), max_size=3),
    broken=st.sets(st.integers(0, len(EVENTS) - 1), max_size=2),
    cuts=st.lists(st.integers(0, len(EVENTS))),
)
def test_chunks_do_not_matter(order: list[int], dropped: set[int], broken: set[int], cuts: list[int]) -> None:
    """However a tape is cut, the same is found in it, at the same bytes."""
    texts = TAPE.splitlines(keepends=True)
    data = b"".join(
        texts[place].replace(b'"jws":"e', b'"jws":"f') if place in broken else texts[place]
        for place in order
        if place not in dropped
    )
    assert outcome(data, cuts) == outcome(data, [])


def test_processes_do_not_matter() -> None:
    """Two processes find what one finds, in the same order."""
    texts = TAPE.splitlines(keepends=True)
    data = b"".join([*texts[:2], *texts[3:6], texts[6].replace(b'"jws":"e', b'"jws":"f'), *texts[7:]])
    everywhere = list(range(len(texts)))
    assert outcome(data, everywhere, jobs=2) == outcome(data, [])
    assert [finding.code for finding in outcome(data, everywhere, jobs=2)[1]] == ["missing_link", "malformed_record"]


@given(st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), max_size=30), st.integers(1, 64))
def test_lines_survive_reading(texts: list[bytes], size: int) -> None:
    """Blocks of any size give every line, whole, at its byte."""
    data = b"".join(text + b"\n" for text in texts)
    splitter = lines._Splitter(lambda *fault: pytest.fail(str(fault)))
    blocks = [data[begin : begin + size] for begin in range(0, len(data), size)]
    read = [chunk for block in blocks if (chunk := splitter.take(block)) is not None]
    splitter.end()
    assert b"".join(chunk.data for chunk in read) == data
    assert all(data[chunk.at :].startswith(chunk.data) and chunk.data.endswith(b"\n") for chunk in read)


def test_a_line_too_long_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed over in a little memory; the lines around it are read."""
    monkeypatch.setattr(lines, "LONGEST_LINE", 10)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 4)
    faults: list[tuple[str, int]] = []
    data = b"one\n" + b"x" * 100 + b"\ntwo\nrest"
    read = list(read_chunks(BytesIO(data), report=lambda code, _, byte: faults.append((code, byte))))
    assert b"".join(chunk.data for chunk in read) == b"one\ntwo\n"
    assert [chunk.at for chunk in read if chunk.data.startswith(b"two")] == [105]
    assert faults == [("line_too_long", 4), ("truncated", 109)]


def test_findings_are_bounded() -> None:
    """All are counted, the first are kept, and no message fills the screen."""
    findings = Findings()
    for number in range(KEPT + 50):
        findings.add(Finding("code", "x" * 10_000, "file", byte=number))
    findings.merge(findings.kept[:10], findings.counts)
    assert (len(findings.kept), findings.counts["code"]) == (KEPT, 2 * (KEPT + 50))
    assert len(findings.kept[0].message) < 1000


def test_whose_keys_are_believed() -> None:
    """Keys given, keys given of which the chain knows one, a thumbprint, the file's own, nobody's."""
    chain = Archive(EVENTS[:5])
    records = key_chain([Chunk(0, chain.tape())])
    given_keys = {TWO.kid: TWO.public_key}
    trust, _ = Beliefs(keys=given_keys).trust(chain=records, own={})
    assert (trust.root, set(dict(trust.given))) == (None, {TWO.kid})
    trust, _ = Beliefs(keys=given_keys | {ONE.kid: ONE.public_key}).trust(chain=records, own={})
    assert trust.root == ONE.kid
    trust, why = Beliefs().trust(chain=records, own={})
    assert (trust.root, ONE.kid in why) == (ONE.kid, True)
    trust, why = Beliefs().trust(chain=(), own=given_keys)
    assert (set(dict(trust.given)), TWO.kid in why) == ({TWO.kid}, True)
    trust, _ = Beliefs(root=TWO.kid).trust(own=given_keys)
    assert set(dict(trust.given)) == {TWO.kid}
    with pytest.raises(KeyRefused):
        parse_key_set(json.dumps({"keys": [{"kty": "RSA"}]}).encode())


@pytest.mark.parametrize(
    ("asset", "day", "expected"),
    [
        ("ast_1", "2025-12-31", [("ast_1", "unborn", None)]),
        ("ast_1", "2026-01-02", [("ast_1", "held", "platform:seller-1")]),
        ("ast_1", "2026-01-03", [("ast_1", "held", "fnd_1")]),
        ("ast_1", "2026-02-01", [("ast_1", "ended", "fnd_1")]),
        ("ast_2", "2026-01-01", [("ast_2", "held", "platform:s2")]),
        (
            "ast_2",
            "2026-01-05",
            [
                ("ast_2", "split", "platform:s2"),
                ("ast_3", "held", "platform:s2"),
                ("ast_4", "held", "platform:s3"),
            ],
        ),
        ("ast_9", "2026-01-05", [("ast_9", "unborn", None)]),
    ],
)
def test_the_holder_on_a_day(asset: str, day: str, expected: list[tuple[str, str, str | None]]) -> None:
    """By effective date; a split asset's parts each have their own."""

    def chains(assets: Collection[str]) -> dict[str, list[OpenedRecord]]:
        return chains_of([Chunk(0, TAPE)], assets, judge=TRUST.judge())

    found = holders_at(asset, at=date.fromisoformat(day), chains=chains)
    assert [(one.asset, one.state, one.holder) for one in found] == expected


def test_a_split_of_splits() -> None:
    """A hundred splits one behind the other are followed to the last part; parts that name each other end."""
    events: list[Event] = [("ast_0", "asset.confirmed", {}, {"seller": "s"})]
    for depth in range(100):
        events.append(
            (f"ast_{depth}", "asset.split", {"parts": [f"ast_{depth + 1}"], "effective_date": "2026-01-02"}, {})
        )
        part = {"parent": f"ast_{depth}", "effective_date": "2026-01-02"}
        events.append((f"ast_{depth + 1}", "asset.split_off", part, {"holder": "s"}))
    events.append(("ast_100", "asset.split", {"parts": ["ast_0", 7], "effective_date": "2026-01-03"}, {}))
    tape = Archive(events).tape()
    held = holders_at(
        "ast_0",
        at=date(2026, 1, 2),
        chains=lambda assets: chains_of([Chunk(0, tape)], assets, judge=TRUST.judge()),
    )
    assert [(one.asset, one.state) for one in held[-2:]] == [("ast_99", "split"), ("ast_100", "held")]
    later = holders_at(
        "ast_0",
        at=date(2026, 1, 3),
        chains=lambda assets: chains_of([Chunk(0, tape)], assets, judge=TRUST.judge()),
    )
    assert [one.state for one in later] == ["split"] * 101


def test_a_backdated_fact_counts_from_its_day() -> None:
    """What was recorded later for an earlier day comes before what was recorded first for a later day."""
    archive = Archive(
        [
            ("ast_1", "asset.confirmed", {}, {}),
            ("ast_1", "asset.assigned", {"holder": "late", "effective_date": "2026-01-20"}, {}),
            ("ast_1", "asset.transferred", {"effective_date": "2026-01-10"}, {}),
        ]
    )
    chain = chains_of([Chunk(0, archive.tape())], ["ast_1"], judge=TRUST.judge())["ast_1"]
    assert holder_at("ast_1", chain, at=date(2026, 1, 5)).holder == "the seller"
    assert holder_at("ast_1", chain, at=date(2026, 1, 15)).holder == "an undisclosed holder"
    assert holder_at("ast_1", chain, at=date(2026, 1, 25)) == Holding("ast_1", "held", "late", 2, date(2026, 1, 20))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with one file of every kind."""
    (tmp_path / "tape.ndjson").write_bytes(TAPE)
    (tmp_path / "tape.ndjson.gz").write_bytes(gzip.compress(TAPE))
    (tmp_path / "keys.json").write_bytes(ARCHIVE.key_set())
    (tmp_path / "policy.txt").write_text(POLICY)
    (tmp_path / "record.json").write_bytes(ARCHIVE.record_file(5))
    (tmp_path / "bare.json").write_bytes(ARCHIVE.record_file(5, proof=False))
    (tmp_path / "entry.tlog-proof").write_text(ARCHIVE.proof(5, extra=False))
    (tmp_path / "checkpoint").write_text(ARCHIVE.checkpoint())
    ARCHIVE.write_pack(tmp_path / "pack")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("tape.ndjson", RIGHT, "compare with what was published elsewhere"),
        ("tape.ndjson.gz --jobs 2", RIGHT, "14 records, 5 assets"),
        ("tape.ndjson --key " + ONE.kid, RIGHT, "Verdict: right."),
        ("tape.ndjson --key " + "A" * 43, WRONG, "unknown_root"),
        ("tape.ndjson --keys keys.json", RIGHT, "the keys given"),
        ("tape.ndjson --keys missing.json", UNDECIDED, "Cannot be judged"),
        ("tape.ndjson --policy keys.json", UNDECIDED, "Cannot be judged"),
        ("bare.json", UNDECIDED, "give --keys or --key"),
        ("bare.json --keys keys.json", RIGHT, "not proven"),
        ("record.json --keys keys.json", RIGHT, None),
        ("record.json --keys keys.json --policy policy.txt", RIGHT, "the policy given"),
        ("record.json --keys keys.json --log-key " + LOG.verifier.vkey, RIGHT, "the log key given"),
        ("entry.tlog-proof --policy policy.txt", UNDECIDED, "does not bring its entry"),
        ("entry.tlog-proof bare.json --keys keys.json --policy policy.txt", RIGHT, "5 log index"),
        ("checkpoint", UNDECIDED, "give --policy or --log-key"),
        ("checkpoint --policy policy.txt --max-age 1 --as-of 2026-01-02", RIGHT, "Verdict: right."),
        ("checkpoint --policy policy.txt --max-age 1 --as-of 2026-01-03", WRONG, "stale_witness"),
        ("checkpoint --policy policy.txt --max-age 1", 2, "--as-of"),
        ("keys.json --key " + ONE.kid, RIGHT, "is among them"),
        ("keys.json --key x", RIGHT, "is not among them"),
        ("pack/log --policy policy.txt", RIGHT, "14 log entries"),
        ("pack checkpoint keys.json", RIGHT, "Consistent with 2 other"),
        ("pack --asset ast_2 --at 2026-01-05", RIGHT, "ast_4 was held by platform:s3"),
        ("tape.ndjson --asset ast_9", RIGHT, "no record of it here"),
        ("bare.json --asset ast_1", UNDECIDED, "give --keys or --key"),
        ("keys.json --asset ast_9", 2, "--asset needs"),
        ("tape.ndjson --at 2026-01-05", 2, "--at needs --asset"),
        ("", 2, "Missing argument"),
        ("nothing.json", UNDECIDED, "cannot be read"),
    ],
)
def test_the_command(files: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, says: str | None) -> None:
    """Its exit codes and what it says."""
    monkeypatch.chdir(files)
    if says is None:  # a proof without any key of the log
        code, says = UNDECIDED, "give --policy or --log-key"
    run = CliRunner().invoke(make_command(), arguments.split())
    assert (run.exit_code, says in run.output) == (code, True), run.output


def test_the_bar_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal, one line that is overwritten and gone at the end."""
    bar = Bar()
    bar.begin("records", total=100)
    bar.step(1)
    bar._shown_at = -1.0
    bar.step(50)
    bar.begin("books", total=0)
    bar.end()
    told = capsys.readouterr().err
    assert "50%  records" in told
    assert "0%  books" in told
    assert " 1%" not in told
    assert told.endswith("\r\x1b[K")


def test_many_findings_are_summed_up(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first are shown, all are counted by code."""
    monkeypatch.chdir(files)
    (files / "bad.ndjson").write_bytes(b"x\n" * 1234)
    run = CliRunner().invoke(make_command(), ["bad.ndjson", "--keys", "keys.json"])
    assert run.exit_code == WRONG
    assert "the first 20 of 1234" in run.output
    assert "1,234  not_json" in run.output


def test_the_command_for_programs(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON object: verdict, files, findings with code and byte, the asset asked for."""
    monkeypatch.chdir(files)
    (files / "bad.ndjson").write_bytes(TAPE.replace(b'"jws":"e', b'"jws":"f', 1))
    arguments = ["bad.ndjson", "--keys", "keys.json", "--asset", "ast_1", "--at", "2026-01-05", "--json"]
    run = CliRunner().invoke(make_command(lambda: datetime.fromtimestamp(START, UTC)), [*arguments, "--max-age", "1"])
    told = json.loads(run.output)
    assert (run.exit_code, told["verdict"], told["found"]) == (WRONG, "wrong", {"malformed_record": 1})
    (finding,) = told["findings"]
    assert (finding["code"], finding["asset"], finding["field"]) == ("malformed_record", "ast_1", "header")
    assert TAPE[finding["byte"] :].startswith(b"eyJ")
    assert told["asset"]["holders"][0]["holder"] == "fnd_1"


def test_the_verifier_stands_alone(files: Path) -> None:
    """`python -m ledger verify` runs; no database, no web and no network is loaded for it."""
    forbidden = "sqlalchemy psycopg flask urllib3 requests http.client exchange scoring numpy"
    script = (
        "import sys, ledger.verify.command, ledger.__main__\n"
        f"print([name for name in {forbidden.split()!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "[]\n"
    command = [sys.executable, "-m", "ledger", "verify", str(files / "pack"), "--key", ONE.kid]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (RIGHT, "")
