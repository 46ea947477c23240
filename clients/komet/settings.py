"""Settings of one Komet company."""

from pydantic import Field

from clients.access import Access
from clients.komet.profile import KometProfile


class KometSettings(Access):
    """One company, reached with one vendor token. `base_url` ends in `/api`."""

    #: Our name for the company: its request budget is shared by all that name it.
    company_code: str = Field(min_length=1)
    #: For a company with many locations.
    location_code: str | None = Field(default=None, min_length=1)
    #: Requests a day for the whole company: 1,000 for each paid user.
    daily_requests: int = Field(default=1000, ge=1)
    requests_per_second: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    #: For companies with mandatory carriers on purchase orders.
    inbound_carrier_code: str | None = Field(default=None, min_length=1)
    profile: KometProfile = KometProfile()
