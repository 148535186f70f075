"""What a run of the verifier says: for people, and for programs."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from ledger.records import OpenedRecord
from ledger.verify.findings import KEPT, Finding
from ledger.verify.holders import Holding
from ledger.verify.session import FileReport, Session

RIGHT, WRONG, USAGE, UNDECIDED = 0, 1, 2, 3
"""Exit codes; the worst of a run counts: found wrong, then not to be judged, then right."""
VERDICTS = {RIGHT: "right", WRONG: "wrong", UNDECIDED: "undecided"}
_SHOWN = 20


def exit_code(session: Session) -> int:
    """The code of what the run has come to."""
    if session.findings:
        return WRONG
    return UNDECIDED if any(report.undecided for report in session.reports) else RIGHT


def as_json(session: Session, *, statement: dict[str, Any] | None) -> dict[str, Any]:
    """Everything as one JSON object."""
    found: dict[str, Any] = {
        "verdict": VERDICTS[exit_code(session)],
        "files": [_file_json(report) for report in session.reports],
        "found": dict(sorted(session.findings.counts.items())),
        "findings": [finding._asdict() for finding in session.findings.kept],
    }
    return found if statement is None else found | {"asset": statement}


def asset_json(asset: str, life: Iterable[OpenedRecord], *, at: date | None, held: Iterable[Holding]) -> dict[str, Any]:
    """An asset's life and, with a date, who held it."""
    told: dict[str, Any] = {
        "asset": asset,
        "records": [
            {"sequence": record.body["sequence"], "type": record.type, "recorded_at": record.body.get("recorded_at")}
            for record in life
        ],
    }
    if at is not None:
        holders = [one._asdict() | {"since": one.since.isoformat() if one.since else None} for one in held]
        told |= {"at": at.isoformat(), "holders": holders}
    return told


def page(session: Session) -> str:
    """Everything as text."""
    lines = [line for report in session.reports for line in _file_lines(report)]
    total = sum(session.findings.counts.values())
    if total:
        lines += ["", f"{total} found wrong:" if total > 1 else "Found wrong:"]
        lines += [f"  {_finding_line(finding)}" for finding in session.findings.kept[:_SHOWN]]
        if total > _SHOWN:
            lines.append(f"  the first {_SHOWN} of {total}; --json shows {min(total, KEPT)}. By code:")
            lines += [f"  {count:>10,}  {code}" for code, count in sorted(session.findings.counts.items())]
    code = exit_code(session)
    return "\n".join([*lines, "", f"Verdict: {VERDICTS[code]}."])


def asset_page(told: dict[str, Any]) -> str:
    """What `asset_json` gives, as text."""
    lines = ["", f"Asset {told['asset']}:"]
    lines += [f"  {one['sequence']:>4}  {_moment(one['recorded_at'])}  {one['type']}" for one in told["records"]]
    if not told["records"]:
        lines.append("  no record of it here")
    lines += [f"  On {told['at']}, {_holding_line(one)}" for one in told.get("holders", [])]
    return "\n".join(lines)


def _file_json(report: FileReport) -> dict[str, Any]:
    return {
        "file": report.file,
        "kind": report.kind,
        "counts": report.counts,
        "notes": report.notes,
        "undecided": report.undecided,
    }


def _file_lines(report: FileReport) -> Sequence[str]:
    counts = ", ".join(f"{count:,} {what}" for what, count in report.counts.items())
    lines = [f"{report.file}: {report.kind}" + (f" ({counts})" if counts else "")]
    lines += [f"  {note}" for note in report.notes]
    return lines if report.undecided is None else [*lines, f"  Cannot be judged: {report.undecided}"]


def _finding_line(finding: Finding) -> str:
    parts = [finding.file]
    if finding.byte is not None:
        parts.append(f"byte {finding.byte}")
    if finding.asset is not None:
        parts.append(f"asset {finding.asset} record {finding.sequence}")
    if finding.field is not None:
        parts.append(finding.field)
    return f"{finding.code}  {', '.join(parts)}: {finding.message}"


def _holding_line(one: dict[str, Any]) -> str:
    asset, since = one["asset"], f"{one['since']} (record {one['sequence']})"
    told = {
        "held": f"{asset} was held by {one['holder']} since {since}.",
        "split": f"{asset} had been split on {since}; its parts:",
        "ended": f"{asset} had ended on {since}, last held by {one['holder']}.",
        "unborn": f"{asset} was not there yet, or is not in this file.",
    }
    return told[one["state"]]


def _moment(time_s: int | None) -> str:
    return "?" if time_s is None else f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S}Z"
