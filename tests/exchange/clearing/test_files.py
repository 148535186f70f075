import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from exchange.clearing import exact
from exchange.clearing.command import clear_folder
from exchange.clearing.files import HEADER, read_market
from exchange.clearing.market import Market, MarketMalformed
from ledger.verify import certificate
from tests.benchmarks.clearing import PD_BPS, make_market


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branch and bound ends early."""
    monkeypatch.setattr(exact, "NODES", 20)
    monkeypatch.setattr(exact, "GAP", 0.02)


def write(folder: Path, market: Market) -> None:
    """A market as the files have it."""
    held, own = market.receivables, market.mandates
    keys = (held.keys["debtor"], held.keys["seller"], held.sector, held.grade + 1, held.tenor, held.product)
    columns = (held.face, *keys, held.recourse, held.ask, held.currency, held.split)
    lines = zip(range(len(held)), *(column.astype(int).tolist() for column in columns), strict=True)
    text = "\n".join([HEADER, *(",".join(map(str, line)) for line in lines)]) + "\n"
    (folder / "receivables.csv").write_text(text)
    limits = {cap.name: cap.limit[:, 0] for cap in market.caps}
    averages = {one.name: np.where(one.applies, one.limit, 0) for one in market.averages}
    named = {
        "budget_fen": limits["budget"],
        "currency": own.currency,
        "max_grade": own.max_grade + 1,
        "max_tenor": own.max_tenor,
        "rate_bps_by_grade": own.rates,
        "products": own.products,
        "sectors": own.sectors,
        "ticket_min_fen": own.smallest,
        "ticket_max_fen": own.largest,
        "recourse_only": own.recourse_only,
        "cap_debtor_fen": limits["debtor"],
        "cap_seller_fen": limits["seller"],
        "sector_share_permille": market.shares[0].permille,
        "bucket_share_permille": market.shares[1].permille,
        "max_average_pd_bps": averages["pd"],
        "max_average_tenor_days": averages["tenor"],
        "min_average_yield_bps": averages["yield"],
        "min_pool_fen": own.min_pool,
    }
    rows = [{name: values[one].astype(int).tolist() for name, values in named.items()} for one in range(len(own))]
    (folder / "mandates.json").write_text(json.dumps({"pd_bps_by_grade": PD_BPS.tolist(), "mandates": rows}))


def test_there_and_back(tmp_path: Path) -> None:
    """A market is read as it was written; the command answers it, with a certificate that holds."""
    market = make_market(150, 4, seed=3)
    write(tmp_path, market)
    again = read_market(tmp_path)
    assert (again.receivables.face == market.receivables.face).all()
    assert (again.averages[0].limit == market.averages[0].limit).all()
    out, proof, secret = tmp_path / "answer.json", tmp_path / "proof.json", tmp_path / "secret"
    secret.write_bytes(b"salt")
    arguments = [str(tmp_path), "--out", str(out), "--certificate", str(proof), "--secret", str(secret)]
    told = CliRunner().invoke(clear_folder, arguments, catch_exceptions=False)
    assert told.exit_code == 0
    assert "no placement is worth more" in told.stdout
    assert certificate.check(proof.read_bytes())["receivables"] == 150
    answer = json.loads(out.read_text())
    entries = json.loads(proof.read_text())["entries"]
    whole = [[i, j, int(market.receivables.face[i])] for i, j in enumerate(answer["alloc"]) if j >= 0]
    assert sorted(whole + answer["parts"]) == entries


def test_a_certificate_needs_a_secret(tmp_path: Path) -> None:
    """Without one, parts could be guessed."""
    write(tmp_path, make_market(20, 3, seed=3))
    told = CliRunner().invoke(clear_folder, [str(tmp_path), "--out", "a", "--certificate", "c"])
    assert told.exit_code == 2


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("receivables.csv", "id,face\n1,2\n"),
        ("receivables.csv", HEADER + "\n1,2,3\n"),
        ("receivables.csv", HEADER + "\n0,ten,0,0,0,1,30,0,0,400,0,0\n"),
        ("receivables.csv", HEADER + "\n0,99999999999999999999,0,0,0,1,30,0,0,400,0,0\n"),
        ("receivables.csv", HEADER + "\n0,1000,0,0,0,77,30,0,0,400,0,0\n"),
        ("mandates.json", "{"),
        ("mandates.json", '{"pd_bps_by_grade": [1], "mandates": [{}]}'),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, file: str, text: str) -> None:
    """Other columns, too few, words, a number beyond 64 bits, an unknown grade, no JSON, a mandate without terms."""
    write(tmp_path, make_market(20, 3, seed=3))
    (tmp_path / file).write_text(text)
    with pytest.raises(MarketMalformed):
        read_market(tmp_path)


def test_an_empty_market(tmp_path: Path) -> None:
    """No receivables at all are a market."""
    write(tmp_path, make_market(20, 3, seed=3))
    (tmp_path / "receivables.csv").write_text(HEADER + "\n")
    assert len(read_market(tmp_path).receivables) == 0
