"""Tolerant readers of JSON answers, shared by both wire forms.

They accept what the two systems were seen or are documented to send (`4`, `"4"`, `4.0`; ids as numbers or text;
null, empty and missing alike) and refuse the rest with a reason that names the field and the value.
"""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?")
_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([ T]00:00(:00(\.0+)?)?)?")
_IDENTIFIER = re.compile(r"(?![0-9]{4}-[0-9]{2}-[0-9]{2})[0-9A-Za-z]([0-9A-Za-z._-]{0,62}[0-9A-Za-z])?")
#: Fits a bigint of the database, and ends numbers such as 1e999999 before they are written out.
_MOST_DIGITS = 19
#: The finest that is kept: how binary fractions are written out (0.28000000000000003) ends beyond it.
_FINEST, _WIDE = Decimal("1e-12"), Context(prec=2 * _MOST_DIGITS, rounding=ROUND_HALF_EVEN)
#: What names a thing is looked up by it, and an index takes nothing longer than some 2,700 bytes.
LONGEST_NAME = 600
#: Beyond them a date means nothing, and reckoning with it may leave the calendar.
_YEARS = range(2000, 2100)
#: How .NET writes a date that is not there.
_NO_DATE = "0001-01-01"


class Wire(BaseModel):
    """Base of wire models: unknown fields are ignored; null, empty text and no date are as good as a missing field."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            name: value
            for name, value in data.items()
            if value is not None and not (isinstance(value, str) and _is_nothing(value))
        }


def _is_nothing(value: str) -> bool:
    return not value.strip() or value.startswith(_NO_DATE)


def exact(value: object) -> Decimal:
    """A number of at most 19 digits before the point, as sent; rounded half-even to 12 digits after it.

    Raises:
        ValueError: anything else, NaN and infinity included.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("is not a number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("is not a number")
    if number == 0:
        return Decimal(0)
    if number.adjusted() >= _MOST_DIGITS:
        raise ValueError("has too many digits")
    rounded = number.quantize(_FINEST, context=_WIDE)
    return number if number == rounded else rounded.normalize(_WIDE) + 0


def whole(value: object) -> int:
    """A whole number, also one written `"4"` or `4.0`.

    Raises:
        ValueError: anything else.
    """
    number = exact(value)
    if number != int(number):
        raise ValueError("is not a whole number")
    return int(number)


def text(value: object) -> str:
    """Text without spaces around it; a number's digits.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("is not text")
    if isinstance(value, int):  # of any length: Komet's pages know ids of 20 digits
        return str(value)
    number = exact(value)
    return str(int(number)) if number == int(number) else str(number)


def name(value: object) -> str:
    """Text of at most 600 characters.

    Raises:
        ValueError: anything else.
    """
    found = text(value)
    if len(found) > LONGEST_NAME:
        raise ValueError(f"has more than {LONGEST_NAME} characters")
    return found


def identifier(value: object) -> str:
    """What one thing is called by: letters and digits, also with `-`, `_` and `.` between them, at most 64.

    Raises:
        ValueError: anything else, dates and numbers below 0 included.
    """
    found = text(value)
    if not _IDENTIFIER.fullmatch(found):
        raise ValueError("is no id")
    return found


def day(value: object) -> date:
    """A calendar date `YYYY-MM-DD` of this century, at most with a midnight after it; never converted.

    Raises:
        ValueError: anything else.
    """
    found = _DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not a date YYYY-MM-DD")
    found_day = date.fromisoformat(found[1])
    if found_day.year not in _YEARS:
        raise ValueError("is not a date of this century")
    return found_day


def moment(value: object) -> datetime:
    """An RFC 3339 time of this century with offset, as UTC.

    Raises:
        ValueError: anything else.
    """
    try:
        when = datetime.fromisoformat(value.upper()) if isinstance(value, str) else None
        if when is not None and when.tzinfo is not None and when.year in _YEARS:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("is not a time with offset")


def flag(value: object) -> bool:
    """Yes or no: `1`, `"1"`, `true` or `0`, `"0"`, `false`.

    Raises:
        ValueError: anything else.
    """
    word = str(value).strip().casefold() if isinstance(value, str | int | Decimal) else ""
    if word in ("1", "1.0", "true"):
        return True
    if word in ("0", "0.0", "false"):
        return False
    raise ValueError("is neither 1 nor 0")


Text = Annotated[str, BeforeValidator(text)]
#: Of a thing: an id, a number, a code. Empty where it has none.
Name = Annotated[str, BeforeValidator(name)]
Key = Annotated[str, BeforeValidator(name), Field(min_length=1)]
Id = Annotated[str, BeforeValidator(identifier)]
Exact = Annotated[Decimal, BeforeValidator(exact), Field(ge=-(10**12), le=10**12)]
Count = Annotated[int, BeforeValidator(whole), Field(ge=0, le=2**31 - 1)]
SequenceNumber = Annotated[int, BeforeValidator(whole), Field(ge=0, le=2**63 - 1)]
Day = Annotated[date, BeforeValidator(day)]
Moment = Annotated[datetime, BeforeValidator(moment)]
Flag = Annotated[bool, BeforeValidator(flag)]


def reason(error: ValueError) -> str:
    """Say in one line why a record could not be read: for the first error, the field and what it held."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "record"
    if first["type"] == "missing":
        return f"{place} is missing"
    cause = first["msg"].removeprefix("Value error, ")
    return f"{place} = {str(first['input'])[:80]!r}: {cause}"
