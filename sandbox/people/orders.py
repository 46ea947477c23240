"""The form of an order to the control interface."""

from pydantic import BaseModel, ConfigDict


class Order(BaseModel):
    """A body; a field that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
