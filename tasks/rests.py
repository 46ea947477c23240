"""Rests: after trouble with a system an order sends nothing to it for a while, and goes on with the other."""

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, null, or_

from models.tables import Order
from tasks.runtime import Timing

_COLUMNS = {"komet": Order.not_before, "axerrio": Order.axerrio_not_before}


def back_off(row: Order, timing: Timing, moment: datetime, *systems: str, at_least: float = 0.0) -> datetime:
    """Exponential, with full jitter; never sooner than the other side asked for.

    Args:
        row: of the order.
        timing: of the process.
        moment: now.
        systems: to which it sends nothing meanwhile.
        at_least: seconds that the other side asked for.

    Returns:
        When the rest is over.
    """
    ceiling = min(timing.retry_max, timing.retry_base * 2 ** min(row.setbacks, 20))
    row.setbacks += 1
    until = moment + timedelta(seconds=max(random.uniform(0, ceiling), at_least))  # noqa: S311
    for each in systems:
        setattr(row, _COLUMNS[each].key, until)
    return until


def rests_until(row: Order, system: str, moment: datetime) -> datetime | None:
    """When the order sends to the system again; None: it does."""
    until: datetime | None = getattr(row, _COLUMNS[system].key)
    return until if until is not None and until > moment else None


def over(row: Order, moment: datetime, *systems: str) -> None:
    """The order rests no more, of these systems; where it rests of none, there was no trouble."""
    for each in systems or _COLUMNS:
        setattr(row, _COLUMNS[each].key, None)
    if not any(rests_until(row, each, moment) for each in _COLUMNS):
        row.setbacks = 0


def may_send(system: str, moment: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """The same of many: an order sends to the system now."""
    return or_(_COLUMNS[system].is_(None), _COLUMNS[system] <= moment)


def over_in(system: ColumnElement[str]) -> dict[str, Any]:
    """The same of many: values by which an order rests no more of the system."""
    return {each.key: case((system == name, null()), else_=each) for name, each in _COLUMNS.items()} | {"setbacks": 0}
