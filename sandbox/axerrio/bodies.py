"""Words and shapes of what clients send."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from sandbox.wire import Json


def _moment(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("needs an offset")
    return value


def _day(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise ValueError("must be written YYYY-MM-DD")
    date.fromisoformat(value)
    return value


def _decimal(value: Any) -> Any:
    """Take a number or a text for an exact decimal, and leave it as it was written."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError("must be a decimal")
    try:
        finite = Decimal(value).is_finite()
    except ArithmeticError:
        finite = False
    if not finite:
        raise ValueError("must be a decimal")
    return value


Word = Annotated[StrictStr, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[StrictStr, StringConstraints(min_length=1)]
Moment = Annotated[StrictStr, AfterValidator(_moment)]
Day = Annotated[StrictStr, AfterValidator(_day)]
Amount = Annotated[int | str | Decimal, BeforeValidator(_decimal)]
Count = Annotated[StrictInt, Field(ge=1)]


class Body(BaseModel):
    """A body in camelCase; unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel)

    def stored(self) -> Json:
        """The body as it is kept and answered: the agreed fields."""
        return self.model_dump(by_alias=True)

    def given(self) -> Json:
        """The agreed fields, but for those left out."""
        return self.model_dump(by_alias=True, exclude_unset=True)
