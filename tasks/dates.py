"""Calendar dates: plain, and never converted. Only "which day is it now" depends on a time zone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

#: How names begin that a machine may keep beside IANA's, and PostgreSQL knows none of.
_OF_THIS_MACHINE = ("posix/", "posixrules", "right/", "localtime")


def is_time_zone(name: str) -> bool:
    """An IANA name such as America/New_York."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return not name.startswith(_OF_THIS_MACHINE)


def today_in(moment: datetime, zone: str) -> date:
    """The calendar date of a moment in a time zone."""
    return moment.astimezone(ZoneInfo(zone)).date()
