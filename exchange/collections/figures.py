"""How collections do: what each stage cures, what promises are worth, what lies with which team."""

from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.collections.rules import AGE_NAMES, AGES

PPM = 1_000_000

STAGES = text("""
    SELECT case_stage.stage, count(*) AS reached, count(*) FILTER (WHERE closed_on IS NULL) AS live,
           count(*) FILTER (WHERE result IN ('cured', 'recovered')) AS cured,
           count(*) FILTER (WHERE result IN ('written_off', 'uncollectable')) AS lost
    FROM case_stage JOIN collection_case USING (case_id)
    WHERE cast(:originator AS text) IS NULL OR originator_id = :originator
    GROUP BY 1 ORDER BY min(case_stage.days_past_due), 1
""")
PROMISES = text("""
    SELECT count(*) AS made, count(*) FILTER (WHERE payment_promise.state = 'open') AS open,
           count(*) FILTER (WHERE payment_promise.state = 'kept') AS kept,
           count(*) FILTER (WHERE payment_promise.state = 'broken') AS broken,
           count(*) FILTER (WHERE payment_promise.state = 'lapsed') AS lapsed
    FROM payment_promise JOIN collection_case USING (case_id)
    WHERE cast(:originator AS text) IS NULL OR originator_id = :originator
""")
TEAMS = text("""
    WITH owed AS (
        SELECT case_id, claim.currency, sum(claim.outstanding_minor)::bigint AS minor,
               max(max(:today - late_since)) OVER (PARTITION BY case_id) AS days
        FROM case_item JOIN claim USING (asset_id) JOIN collection_case USING (case_id)
        WHERE left_on IS NULL AND closed_on IS NULL
          AND (cast(:originator AS text) IS NULL OR originator_id = :originator)
        GROUP BY 1, 2
    ), busy AS (
        SELECT DISTINCT team, case_id FROM collection_task WHERE state IN ('open', 'started')
    )
    SELECT team, width_bucket(days, cast(:ages AS int[])) AS age, currency, count(*) AS cases,
           sum(minor)::bigint AS outstanding_minor
    FROM owed JOIN busy USING (case_id)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
TASKS = text("""
    SELECT team, count(*) FILTER (WHERE state IN ('open', 'started')) AS waiting,
           count(*) FILTER (WHERE state IN ('open', 'started') AND due_on < :today) AS overdue,
           count(*) FILTER (WHERE state = 'done') AS done
    FROM collection_task
    WHERE cast(:originator AS text) IS NULL OR originator_id = :originator
    GROUP BY 1 ORDER BY 1
""")


def report(session: Session, *, originator_id: str | None, today: date) -> dict[str, Any]:
    """The figures of one originator, or of all."""
    of = {"originator": originator_id}
    promises = dict(session.execute(PROMISES, of).mappings().one())
    aged = session.execute(TEAMS, of | {"today": today, "ages": list(AGES)}).mappings()
    return {
        "business_date": today,
        "stages": [
            dict(row) | {"cure_rate_ppm": share(row["cured"], row["cured"] + row["lost"])}
            for row in session.execute(STAGES, of).mappings()
        ],
        "promises": promises | {"kept_ppm": share(promises["kept"], promises["kept"] + promises["broken"])},
        "teams": [dict(row) | {"age": AGE_NAMES[row["age"]]} for row in aged],
        "tasks": [dict(row) for row in session.execute(TASKS, of | {"today": today}).mappings()],
    }


def share(part: int, whole: int) -> int | None:
    """`part` of `whole` in millionths, rounded down; of nothing it is not known."""
    return part * PPM // whole if whole else None
