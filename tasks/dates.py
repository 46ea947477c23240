"""Calendar dates: plain, and never converted. Only "which day is it now" depends on a time zone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo


def is_time_zone(name: str) -> bool:
    """An IANA name such as America/New_York."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def today_in(moment: datetime, zone: str) -> date:
    """The calendar date of a moment in a time zone."""
    return moment.astimezone(ZoneInfo(zone)).date()
