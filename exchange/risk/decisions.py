"""One decision for each asset: made, kept with all that went into it, and made again from that, byte for byte."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.errors import NotFound
from exchange.registry.actions import Fact, note_many
from exchange.risk import engines, rules
from exchange.risk.limits import Asked
from exchange.risk.losses import Known
from exchange.risk.models import Decision
from exchange.risk.rules import Policy
from scoring import features
from scoring.engine import Engine, Judgement, KnownSides, Rates
from scoring.errors import ScoringError
from scoring.grades import NAMES as GRADES

NUMBERS = ("pd_ppm", "late_ppm", "grade", "days_late", "lgd_bps", "expected_loss_ppm")
COLUMNS = ("asset_id", "model_version", "features", *NUMBERS, "reasons", "decided_at", "frozen", "answer", "digest")
PRICED_BY = ("cost_of_funds_bps", "margin_bps", "most_tenor_days", "unpaid_tolerated_ppm")

KEPT = """
    SELECT asset_id, model_version, features, pd_ppm, late_ppm, grade, days_late, lgd_bps, expected_loss_ppm, reasons,
           decided_at, frozen, answer, digest
    FROM decision
"""
Frozen = dict[str, Any]


class Again(NamedTuple):
    """A decision made again: `kept` and `made` are hashes of the whole record.

    `code` says why it cannot be made, or that what is kept is not what was decided.
    """

    asset_id: str
    model_version: str
    kept: str
    made: str
    code: str | None = None

    @property
    def equal(self) -> bool:
        """Whether the same came out, byte for byte."""
        return self.code is None and self.kept == self.made


def freeze(
    asked: Sequence[Asked], *, sides: KnownSides | None, rates: Known, policy: Policy, today: date
) -> list[Frozen]:
    """What goes into each decision beside its features: the term that is left, both sides, rates and the policy."""
    terms = {name: getattr(policy.terms, name) for name in PRICED_BY} | {"version": policy.version}
    common = {"rates": rates._asdict(), "terms": terms}
    return [
        {
            "tenor_days": max((asset.due_date - today).days, 0),
            "sides": None if sides is None else [int(column[at]) for column in sides],
            **common,
        }
        for at, asset in enumerate(asked)
    ]


def judge(engine: Engine, matrix: features.Floats, frozen: Sequence[Frozen | None]) -> tuple[Judgement, list[Any]]:
    """What the engine makes of the inputs, and the rest of each answer (None where nothing was frozen)."""
    given = [one["sides"] if one and one["sides"] else (0, 0, 0, 0) for one in frozen]
    sides = KnownSides(*(np.array(column, dtype=np.int64) for column in zip(*given, strict=True)))
    first = next((one for one in frozen if one), None)
    rates = Rates(first["rates"]["lgd_bps"], first["rates"]["dilution_ppm"]) if first else None
    judged = engine.judge(matrix, sides=sides, rates=rates)
    return judged, _answers(engine, judged, frozen)


def store(
    session: Session,
    asked: Sequence[Asked],
    *,
    matrix: features.Floats,
    frozen: Sequence[Frozen],
    engine: Engine,
    now: datetime,
) -> tuple[Judgement, list[Any]]:
    """Judge the assets and keep what was decided; each decision is a signed fact that names its whole record."""
    judged, answers = judge(engine, matrix, frozen)
    rows, facts = [], []
    for at, values in enumerate(_values(judged)):
        raw = matrix[at].astype("<f8").tobytes()
        asset_id = asked[at].asset_id
        digest = sha256(record(asset_id, engine.version, raw, values, frozen[at], answers[at]))
        *numbers, reasons = values
        texts = [orjson.dumps(value).decode() for value in (reasons, frozen[at], answers[at])]
        rows.append((asset_id, engine.version, raw, *numbers, texts[0], now, texts[1], texts[2], digest))
        body = dict(zip(NUMBERS, numbers, strict=True)) | {"grade": GRADES[judged.scores.grade[at]]}
        known = {"model": engine.version, "inputs": sha256(raw), "decision": digest}
        facts.append(Fact(asset_id, "asset.scored", known | body | {"reasons": reasons}))
    copy_rows(session, Decision.__tablename__, COLUMNS, rows)
    note_many(session, facts=facts, now=now)
    return judged, answers


def record(
    asset_id: str,
    version: str,
    raw: bytes,
    values: Sequence[Any],
    frozen: Frozen | None,
    answer: Any,  # noqa: ANN401 - a JSON object
) -> bytes:
    """The whole record of a decision as its one text: what went in, under which model, what came out."""
    body = {
        "asset_id": asset_id,
        "model": version,
        "features": sha256(raw),
        "frozen": frozen,
        "values": list(values),
        "answer": answer,
    }
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def sha256(said: bytes) -> str:
    """The hash under which bytes are named."""
    return hashlib.sha256(said).hexdigest()


def decided(session: Session, *, asset_id: str) -> Row[Any] | None:
    """A decision as it was kept."""
    return session.execute(text(f"{KEPT} WHERE asset_id = :id"), {"id": asset_id}).first()


def replay(session: Session, *, after: str = "", limit: int = 1_000) -> list[Again]:
    """Make the next decisions by id once more, from what was frozen and the model that made them.

    One whose model cannot be read, or reads other features, says so by a code: it is never passed over.
    """
    query = text(f"{KEPT} WHERE asset_id > :after ORDER BY asset_id LIMIT :limit")
    rows = session.execute(query, {"after": after, "limit": limit}).all()
    found: list[Again] = []
    by_batch = sorted(rows, key=_batch)
    for _, group in groupby(by_batch, key=_batch):
        found += _made_again(session, list(group))
    return sorted(found)


def _batch(row: Row[Any]) -> tuple[str, int, bytes]:
    """Decisions that one call of the engine makes: one model, one set of features, one pair of rates."""
    rates = row.frozen and row.frozen["rates"]
    return row.model_version, len(row.features), orjson.dumps(rates)


def _made_again(session: Session, rows: Sequence[Row[Any]]) -> Iterator[Again]:
    code = None
    values: list[list[Any]] = []
    answers: list[Any] = []
    try:
        engine = engines.read(session, version=rows[0].model_version)
        matrix = np.array([np.frombuffer(row.features, dtype="<f8") for row in rows])
        judged, answers = judge(engine, matrix, [row.frozen for row in rows])
        values = _values(judged)
    except NotFound:
        code = "model_unknown"
    except engines.ModelUnusable as refusal:
        code = refusal.numbers["reason"]
    except ScoringError as refusal:
        code = refusal.code
    except ValueError:
        code = "decision_features_damaged"
    for at, row in enumerate(rows):
        kept_values = [getattr(row, name) for name in (*NUMBERS, "reasons")]
        kept = _hash(row, kept_values, row.answer)
        made = _hash(row, values[at], answers[at]) if values else ""
        changed = "record_changed" if row.digest not in (None, kept) else None
        yield Again(row.asset_id, row.model_version, kept, made, code or changed)


def _hash(row: Row[Any], values: Sequence[Any], answer: Any) -> str:  # noqa: ANN401 - a JSON object
    return sha256(record(row.asset_id, row.model_version, row.features, values, row.frozen, answer))


def _values(judged: Judgement) -> list[list[Any]]:
    """The columns of each decision, reasons last."""
    scores = judged.scores
    numbers = np.column_stack([getattr(scores, name) for name in NUMBERS]).tolist()
    return [[*row, reasons] for row, reasons in zip(numbers, scores.reason_codes, strict=True)]


def _answers(engine: Engine, judged: Judgement, frozen: Sequence[Frozen | None]) -> list[dict[str, Any] | None]:
    """What was decided beside the columns: what each part said, when payment comes, term and price."""
    rows = len(frozen)
    scores, nothing = judged.scores, [None] * rows
    edges = [] if engine.hazard is None else engine.hazard.edges.tolist()
    names = [str(edge) for edge in edges]
    challenger = nothing if judged.challenger_ppm is None else judged.challenger_ppm.tolist()
    curves = nothing if judged.unpaid_ppm is None else judged.unpaid_ppm.tolist()
    numbers = zip(
        scores.pd_ppm.tolist(), scores.grade.tolist(), scores.lgd_bps.tolist(), judged.champion_ppm.tolist(),
        judged.dilution_loss_ppm.tolist(), challenger, curves, frozen, strict=True,
    )  # fmt: skip
    answers: list[dict[str, Any] | None] = []
    for pd_ppm, grade, lgd_bps, champion_ppm, dilution_ppm, challenger_ppm, unpaid, one in numbers:
        if one is None:
            answers.append(None)
            continue
        terms = one["terms"]
        answers.append(
            {
                "voice": engine.voice,
                "champion_ppm": champion_ppm,
                "challenger_ppm": challenger_ppm,
                "unpaid_after_days": None if unpaid is None else dict(zip(names, unpaid, strict=True)),
                "dilution_loss_ppm": dilution_ppm,
                "most_tenor_days": rules.most_tenor_days(
                    grade,
                    unpaid_ppm=unpaid,
                    edges=edges,
                    allowed_days=terms["most_tenor_days"],
                    tolerated_ppm=terms["unpaid_tolerated_ppm"],
                ),
                "discount": rules.price(
                    pd_ppm,
                    lgd_bps=lgd_bps,
                    dilution_loss_ppm=dilution_ppm,
                    tenor_days=one["tenor_days"],
                    cost_of_funds_bps=terms["cost_of_funds_bps"],
                    margin_bps=terms["margin_bps"],
                ),
            }
        )
    return answers
