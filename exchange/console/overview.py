"""Everything the first page shows, read in one snapshot."""

from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from exchange.console import queries
from exchange.console.charts import calibration
from exchange.console.series import plots
from exchange.reports.summary import summary
from exchange.risk.facts import day_number

LAST = 10
MOST_FUNDERS = 20


def overview(session: Session, *, today: date, zone: str) -> dict[str, Any]:
    """The page as of `today`, the business date in `zone`."""
    shown = summary(session, today=day_number(today))
    busiest = sorted(shown["volume"], key=lambda currency: (-shown["volume"][currency]["submitted"], currency))
    over_time, period_days = plots(session, today=today, zone=zone, currencies=busiest)
    return {
        "summary": shown,
        "plots": over_time,
        "period_days": period_days,
        "calibration": calibration(shown["calibration"]["bins"]),
        "states": queries.by_state(session),
        "state_names": queries.STATES,
        "grades": queries.by_grade(session, today=day_number(today)),
        "ages": queries.AGES,
        "ageing": queries.ageing(session, day=today),
        "funders": queries.funders(session, limit=MOST_FUNDERS),
        "pools": queries.last_pools(session, limit=LAST),
        "last_round": next(iter(queries.last_rounds(session, limit=1)), None),
        "rounds": queries.last_rounds(session, limit=LAST, least=1),
        "past_due": queries.past_due(session, day=today, limit=LAST),
        "newest": queries.newest(session, limit=LAST),
        "callbacks": queries.callbacks(session, limit=LAST),
        "model": queries.model(session),
    }
